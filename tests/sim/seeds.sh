#!/bin/sh
# Part of make check: seeds that are the same for a day, so that a finding can
# be looked into and the next day looks elsewhere. SIM_SEEDS: how many.
seeds=${SIM_SEEDS:-250}
first=$(date +%Y%m%d)000
echo "corral-sim --seed $first --seeds $seeds"
exec "${builddir:-.}/tests/corral-sim" --seed "$first" --seeds "$seeds"
