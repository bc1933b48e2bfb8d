/* Offline check of a data directory: nothing in it is changed, everything in
 * it is read, every damage is named. For corral-dump --verify. */
#ifndef CORRAL_STORE_VERIFY_H
#define CORRAL_STORE_VERIFY_H

#include "store/store.h"

enum store_finding {
    STORE_DAMAGE,
    STORE_NOTE /* as after a crash: a start would cut or repair it */
};

/* file: as found below the directory given. */
typedef void store_finding_fn(void *arg, enum store_finding kind,
                              const char *file, uint64_t offset,
                              const char *what);

/* 0: sound. ERR_CORRUPT: found was called. ERR_BUSY: a server holds it.
 * ERR_INVALID: a newer format. ERR_IO. error (at least 512 bytes) says the
 * first. options->read_only is taken as given. */
int store_verify(const struct store_options *options, store_finding_fn *found,
                 void *arg, char *error, size_t error_size);

#endif
