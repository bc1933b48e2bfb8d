/* Drawn schedules for a net: storms, and a calm before every other one, in
 * which all is mended and given some time. */
#ifndef CORRAL_TESTS_UNIT_ZAB_WEATHER_H
#define CORRAL_TESTS_UNIT_ZAB_WEATHER_H

#include "tests/unit/zab/net.h"

void weather_storms(struct net *net, unsigned storms, unsigned events);
/* Everybody is up and connected; who resigned is started again. */
void weather_mend(struct net *net);

/* Looks at a whole run; returns how often it was tried. */
typedef size_t (*weather_claim)(const struct net *net);
/* Some stormy runs that end well; the claim must have been tried at least so
 * often in all of them. */
void weather_runs(weather_claim claim, size_t least);

#endif
