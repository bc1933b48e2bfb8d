/* From a config to an open store and a replica. */
#ifndef CORRAL_SERVER_BOOT_H
#define CORRAL_SERVER_BOOT_H

#include "replica/replica.h"
#include "store/store.h"

struct config;

/* On failure one line was logged. ERR_*. */
int boot_open(const struct config *config, struct store **store,
              struct replica **replica);

#endif
