#include "server/waiting.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "replica/inspect.h"

#define FIRST_MS 1000 /* an election is over by then */
#define AGAIN_MS 10000
#define CHANGED_MS 3000 /* reasons may come and go */

static void say(struct waiting *waiting, const char *why, int64_t now_ms)
{
    struct log_line line;

    waiting->said_ms = now_ms;
    (void)snprintf(waiting->said, sizeof(waiting->said), "%s", why);
    log_begin(&line, LOG_INFO, "waiting");
    log_text(&line, "why", why);
    log_int(&line, "ms", now_ms - waiting->since_ms);
    log_end(&line);
}

void waiting_look(struct waiting *waiting, const struct replica *replica,
                  int64_t now_ms)
{
    char why[sizeof(waiting->said)];
    int64_t age_ms;

    inspect_waiting(replica, why, sizeof(why));
    if (why[0] == '\0') {
        *waiting = (struct waiting){0};
        return;
    }
    if (waiting->since_ms == 0) {
        waiting->since_ms = now_ms;
    }
    age_ms = now_ms - waiting->said_ms;
    if (waiting->said_ms == 0) {
        if (now_ms - waiting->since_ms >= FIRST_MS) {
            say(waiting, why, now_ms);
        }
    } else if (age_ms >= AGAIN_MS ||
               (age_ms >= CHANGED_MS && strcmp(why, waiting->said) != 0)) {
        say(waiting, why, now_ms);
    }
}
