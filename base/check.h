/* Assertions that stay on in release builds: a false one is a bug of ours, and
 * stopping is cheaper than serving wrong data. Never for input or disk bytes.
 */
#ifndef CORRAL_BASE_CHECK_H
#define CORRAL_BASE_CHECK_H

/* Prints the condition, its place and a backtrace to stderr and aborts. */
_Noreturn void check_failed(const char *expr, const char *file, int line,
                            const char *func);

#define CHECK(expr)                                            \
    do {                                                       \
        if (__builtin_expect(!(expr), 0)) {                    \
            check_failed(#expr, __FILE__, __LINE__, __func__); \
        }                                                      \
    } while (0)

#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)

#endif
