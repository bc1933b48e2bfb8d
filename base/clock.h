/* The two clocks, in milliseconds. For server/, client-lib/ and tools/ only:
 * the pure folders get time as an argument. */
#ifndef CORRAL_BASE_CLOCK_H
#define CORRAL_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void);       /* since 1970 */
int64_t clock_thread_cpu_us(void); /* CPU time of the calling thread */

#endif
