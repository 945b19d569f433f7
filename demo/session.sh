# What demo/run and demo/wordpress share: starting Dolium, showing commands, waiting for containers.
# Sourced; strict mode is the caller's.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STATE=${DOLIUM_STATE_DIR:-/var/lib/dolium}
LOG=$STATE/up.log
DOLIUM=$ROOT/.venv/bin/dolium
START_SECONDS=180
RUN_SECONDS=120
BOLD='' DIM='' PLAIN=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m'
fi
starting='' # process id of a Dolium that does not answer yet
scratch=''  # folder to remove at the end

say() { printf '%s\n' "$DIM$*$PLAIN"; }

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Prints a command as one would type it, then runs it.
show() {
    printf '\n%s$ %s%s\n' "$BOLD" "$*" "$PLAIN"
    "$@"
}

# On a terminal, keeps one line up to date while something is waited for; silent elsewhere.
progress() {
    [[ ! -t 1 ]] || printf '\r\e[K%s' "${1:+$DIM$1$PLAIN}"
}

# Nothing half-made stays: neither a Dolium that was being started nor temporary files.
cleanup() {
    [[ -z $scratch ]] || rm -rf "$scratch"
    [[ -n $starting ]] || return 0
    progress ''
    kill "$starting" 2>/dev/null || return 0
    say "Stopping the Dolium that was being started."
    wait "$starting" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Uses the Dolium that answers, or starts one; then enters the demo project.
enter() {
    [[ -x $DOLIUM ]] || die "Dolium is not installed yet: make install"
    if answers; then
        say "Dolium is running already."
    else
        start
    fi
    [[ -r $STATE/openrc ]] || die "$STATE/openrc cannot be read: sudo $0"
    # shellcheck disable=SC1091  # written by dolium up
    . "$STATE/openrc"
    export PATH=$ROOT/.venv-clients/bin:$PATH PYTHONWARNINGS=ignore
}

answers() { "$DOLIUM" status >/dev/null 2>&1; }

start() {
    [[ $(id -u) == 0 ]] || die "Starting Dolium needs root: sudo $0"
    say "Starting Dolium; its log is $LOG."
    (umask 077 && mkdir -p "$STATE")
    # Without compiled bytecode every daemon would compile itself anew at each start.
    env -u PYTHONDONTWRITEBYTECODE setsid "$DOLIUM" up >>"$LOG" 2>&1 </dev/null &
    starting=$!
    local began=$SECONDS
    until answers; do
        progress "waiting for Dolium: $((SECONDS - began)) s"
        # It may also have ended because another one is just starting here.
        kill -0 "$starting" 2>/dev/null || answers || stopped
        ((SECONDS - began < START_SECONDS)) || stopped
        sleep 0.3
    done
    starting='' # from here on it stays
    progress ''
    say "Dolium answers after $((SECONDS - began)) s."
}

stopped() {
    progress ''
    tail -n 20 "$LOG" >&2
    die "Dolium did not start; the end of $LOG is above."
}

# Makes images available in the engine that Dolium uses.
provide() {
    local engine
    engine=$("$DOLIUM" engine) || die "\`dolium engine\` does not tell which engine is used."
    DOCKER_HOST=$engine "$ROOT/.venv/bin/python" "$ROOT/demo/images" "$@"
}

# Prints one property of a container; nothing if there is no such container.
property() {
    zun show "$1" 2>/dev/null |
        awk -F ' *[|] *' -v name="$2" '$2 == name { sub(/ +$/, "", $3); print $3 }' || :
}

# Prints the ids of all containers of a name; names may repeat.
ids() {
    zun list --name "$1" | awk -F ' *[|] *' -v name="$1" '$3 == name { print $2 }'
}

# Deletes containers that an earlier run left, and says so.
clear_away() {
    local name found
    for name in "$@"; do
        found=$(ids "$name")
        [[ -n $found ]] || continue
        say "There is a $name from an earlier run; deleting it."
        # shellcheck disable=SC2086  # one word per id
        show zun delete --stop $found
        await_gone "$name"
    done
}

await_gone() {
    local began=$SECONDS
    while [[ -n $(ids "$1") ]]; do
        progress "waiting for $1 to go: $((SECONDS - began)) s"
        ((SECONDS - began < RUN_SECONDS)) || die "$1 is still there after $RUN_SECONDS s."
        sleep 0.3
    done
    progress ''
}

# Waits until a container runs; one that failed ends the demo with the reason.
await_running() {
    local began=$SECONDS status
    while :; do
        status=$(property "$1" status)
        case $status in
        Running) break ;;
        Error | Stopped | Deleted | Dead)
            progress ''
            die "$1 is in status $status: $(property "$1" status_reason)" ;;
        esac
        progress "waiting for $1 (${status:-not there yet}): $((SECONDS - began)) s"
        ((SECONDS - began < RUN_SECONDS)) || die "$1 does not run after $RUN_SECONDS s ($status)."
        sleep 0.3
    done
    progress ''
}

# Prints a container's IPv4 address.
address() {
    property "$1" addresses | tr -s ', ' '\n' | grep -m 1 -E '^[0-9]+(\.[0-9]+){3}$' ||
        die "$1 has no IPv4 address."
}

# How to go on; the arguments are more commands to try, one line each.
go_on() {
    printf '\n%sGo on with%s\n' "$BOLD" "$PLAIN"
    printf '  %s\n' "export PATH=$ROOT/.venv-clients/bin:\$PATH" ". $STATE/openrc" "$@"
    printf 'Tools that read clouds.yaml find it with OS_CLIENT_CONFIG_FILE=%s\n' "$STATE/clouds.yaml"
    printf '%smake down%s stops everything.\n' "$BOLD" "$PLAIN"
}
