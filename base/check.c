#include "base/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAMES_MAX 64

_Noreturn void check_failed(const char *expr, const char *file, int line,
                            const char *func)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);

    (void)fprintf(stderr,
                  "level=error event=check_failed expr=\"%s\" at=%s:%d "
                  "in=%s\n",
                  expr, file, line, func);
    (void)fflush(stderr);
    backtrace_symbols_fd(frames, count, 2);
    abort();
}
