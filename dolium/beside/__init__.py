"""The processes that the all-in-one `dolium up` runs beside itself: Keystone and, where no engine
answers, a Docker Engine of its own.

They outlive a killed Dolium on purpose: containers and tokens stay good, and the next start adopts
what still runs. Used by `dolium.cli` only.
"""
