/* The lines of links that come and go. Whoever reaches our ports can make them
 * do so thousands of times a second: of each member a number of lines is free,
 * then some a second, and what was left out is counted. */
#include "base/clock.h"
#include "base/log.h"
#include "server/peer_internal.h"

#define FREE_MAX 40
#define ANOTHER_EVERY_MS 200
#define HELD_MS 1000 /* then it is said how many were left out */

static bool may_log(struct peer_member *member)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t more = (now_ms - member->lines_ms) / ANOTHER_EVERY_MS;

    member->lines_ms += more * ANOTHER_EVERY_MS;
    member->lines_left = more < FREE_MAX - member->lines_left
                             ? member->lines_left + more
                             : FREE_MAX;
    if (member->lines_left == 0) {
        member->lines_held++;
        return false;
    }
    member->lines_left--;
    return true;
}

static void end(struct log_line *line, struct peer_member *member)
{
    if (member->lines_held > 0) {
        log_int(line, "more", (int64_t)member->lines_held);
        member->lines_held = 0;
    }
    log_end(line);
}

void peer_line(struct peer_conn *conn, const char *event, const char *why)
{
    struct peer_member *member = &conn->net->members[conn->member];
    struct log_line line;

    if (!may_log(member)) {
        return;
    }
    log_begin(&line, LOG_INFO, event);
    log_text(&line, "link", peer_link_name(conn->link));
    log_int(&line, "id", (int64_t)member->id);
    if (why != NULL) {
        log_text(&line, "reason", why);
    } else {
        log_int(&line, "version", conn->version);
    }
    end(&line, member);
}

void peer_lines_sweep(struct peer_member *member)
{
    struct log_line line;

    if (member->lines_held > 0 &&
        clock_monotonic_ms() - member->lines_ms >= HELD_MS) {
        member->lines_ms = clock_monotonic_ms();
        log_begin(&line, LOG_WARN, "peer_flaps");
        log_int(&line, "id", (int64_t)member->id);
        end(&line, member);
    }
}
