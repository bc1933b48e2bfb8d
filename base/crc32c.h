/* CRC-32C (Castagnoli), the checksum of everything stored or sent between
 * servers. Uses the CPU's instruction where it is there. */
#ifndef CORRAL_BASE_CRC32C_H
#define CORRAL_BASE_CRC32C_H

#include "base/slice.h"

/* Continues from crc (0 to begin): crc32c(crc32c(0, a), b) is that of a
 * followed by b. */
uint32_t crc32c(uint32_t crc, struct slice bytes);

#endif
