"""The packet filter of a host's bridges, as text for nft(8).

All interfaces of ours are in one group of links, so that the rules do not change with ports and
hardly with networks. Accepting here takes nothing back that another table drops, and the other
way round: a packet has to pass all of them.
"""

from __future__ import annotations

from collections.abc import Collection

_TABLE = """\
table inet {table} {{
	set within {{
		type ifname . ifname
{elements}	}}

	chain prerouting {{
		comment "a container speaks from its own network only"
		type filter hook prerouting priority mangle; policy accept;
		iifgroup {group} fib saddr . iif oif missing drop
	}}

	chain forward {{
		comment "networks do not see each other; nobody calls a container from outside"
		type filter hook forward priority filter; policy accept;
		iifname . oifname @within accept
		oifgroup {group} ct state established,related accept
		iifgroup {group} oifgroup {group} reject with icmpx admin-prohibited
		oifgroup {group} drop
	}}

	chain input {{
		comment "a container gets answers and ICMP of the host, nothing else"
		type filter hook input priority filter; policy accept;
		iifgroup {group} ct state established,related accept
		iifgroup {group} meta l4proto {{ icmp, ipv6-icmp }} accept
		iifgroup {group} reject with icmpx admin-prohibited
	}}

	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		iifgroup {group} oifgroup != {group} masquerade
	}}
}}
"""


def table(name: str, group: int, bridges: Collection[str]) -> str:
    """The table; replaces what there is of it in one step.

    `within` holds each bridge with itself: where br_netfilter shows bridged frames to this
    filter, they are in the forward chain, with the bridge on both sides.
    """
    pairs = ", ".join(f'"{bridge}" . "{bridge}"' for bridge in sorted(bridges))
    elements = f"\t\telements = {{ {pairs} }}\n" if pairs else ""
    body = _TABLE.format(table=name, group=group, elements=elements)
    return f"add table inet {name}\ndelete table inet {name}\n{body}"


def removal(name: str) -> str:
    """Remove the table, whether it is there or not."""
    return f"add table inet {name}\ndelete table inet {name}\n"


def accepts(chain: str, bridges: str, uplinks: Collection[str]) -> list[str]:
    """Rules for a foreign Docker that drops what it does not know (iptables-save's spelling).

    bridges: pattern of our bridges' names. What goes to Docker's own bridges stays its decision;
    what our bridges may do among themselves is our own table's.
    """
    rules = [f"-A {chain} -i {bridges} -o {bridges} -j ACCEPT"]
    rules += [f"-A {chain} -i {bridges} -o {uplink} -j ACCEPT" for uplink in sorted(uplinks)]
    return [
        *rules,
        f"-A {chain} -o {bridges} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
