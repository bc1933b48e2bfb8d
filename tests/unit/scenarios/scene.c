#include "tests/unit/scenarios/scene.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_internal.h"

#define DEADLINE_US (30 * SIM_SECOND)

static void until(struct sim *sim, const char *what, bool done);
static size_t lines_in(const char *text);

void scene_options(struct sim_options *options, unsigned voters,
                   unsigned observers, unsigned clients)
{
    *options = (struct sim_options){
        .seed = 1,
        .voters = voters,
        .observers = observers,
        .clients = clients,
        .link_us_min = 200,
        .link_us_max = 200,
        .disk_us_min = 100,
        .disk_us_max = 100,
        .checkpoint_records = 1000,
        .history_bytes_max = 1 << 20,
        .session_timeout_ms = 10000,
        .clients_idle = true,
        .keep_lines = true,
    };
}

struct sim *scene_with(const struct sim_options *options)
{
    struct sim *sim = sim_create(options);

    for (unsigned server = 1; server <= sim_servers(sim); server++) {
        scene_until_serves(sim, server);
    }
    sim_forget_lines(sim);
    return sim;
}

struct sim *scene(unsigned voters, unsigned observers, unsigned clients)
{
    struct sim_options options;

    scene_options(&options, voters, observers, clients);
    return scene_with(&options);
}

struct sim *scene_small(unsigned clients, unsigned *leader, unsigned *late)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 0, clients);
    scene_small_options(&options);
    sim = scene_with(&options);
    *leader = sim_leader(sim);
    *late = scene_other(sim, *leader, 0);
    scene_to(sim, 0, *leader);
    return sim;
}

/* DIFFs come from the log, checkpoints are small, the log is purged soon. */
void scene_small_options(struct sim_options *options)
{
    options->checkpoint_records = 5;
    options->history_bytes_max = 300;
    options->log_segment = 1;
}

void scene_end(struct sim *sim)
{
    sim_heal_all(sim);
    cr_assert(sim_must_settle(sim), "%s", sim_finding(sim));
    scene_stop(sim);
}

void scene_stop(struct sim *sim)
{
    cr_assert_null(sim_finding(sim), "%s", sim_finding(sim));
    sim_destroy(sim);
}

struct clients *sim_clients(struct sim *sim)
{
    return sim->clients;
}

void scene_to(struct sim *sim, unsigned client, unsigned server)
{
    uint64_t end = sim_now_us(sim) + DEADLINE_US;

    (void)client_lines(sim->clients, client);
    client_connect_to(sim->clients, client, server);
    /* Event by event: the lines behind that one are the test's. */
    while (sim_now_us(sim) < end) {
        const char *lines = client_lines(sim->clients, client);

        if (strstr(lines, "session") != NULL ||
            strstr(lines, "resumed") != NULL) {
            return;
        }
        scene_steps(sim, 1);
    }
    cr_assert_fail("client %u has no session on server %u", client, server);
}

void scene_tell(struct sim *sim, unsigned client, const char *requests)
{
    client_ask(sim->clients, client, requests);
}

void scene_hears(struct sim *sim, unsigned client, const char *lines)
{
    struct buf heard = {0};
    size_t wanted = lines_in(lines), count = 0;
    uint64_t end = sim_now_us(sim) + DEADLINE_US;

    while (count < wanted && sim_now_us(sim) < end) {
        const char *text = client_lines(sim->clients, client);

        count += lines_in(text);
        buf_append_text(&heard, text);
        if (count < wanted) {
            scene_run_ms(sim, 1);
        }
    }
    buf_append(&heard, slice_make("", 1));
    cr_expect_str_eq((const char *)heard.data, lines);
    buf_finish(&heard);
}

void scene_ask(struct sim *sim, unsigned client, const char *requests,
               const char *lines)
{
    scene_tell(sim, client, requests);
    scene_hears(sim, client, lines);
}

void scene_make(struct sim *sim, unsigned client, const char *path,
                unsigned count)
{
    for (unsigned i = 0; i < count;) {
        struct buf asks = {0}, answers = {0};

        for (unsigned n = 0; n < 10 && i < count; n++, i++) {
            buf_printf(&asks, "%screate %s%u x", n == 0 ? "" : "\n", path, i);
            buf_printf(&answers, "create %s%u\n", path, i);
        }
        buf_append(&asks, slice_make("", 1));
        buf_append(&answers, slice_make("", 1));
        scene_ask(sim, client, (const char *)asks.data,
                  (const char *)answers.data);
        buf_finish(&asks);
        buf_finish(&answers);
    }
}

void scene_has(struct sim *sim, unsigned client, const char *path,
               unsigned count)
{
    scene_ask(sim, client, "sync /", "sync /\n");
    for (unsigned i = 0; i < count; i++) {
        char ask[128], answer[128];

        (void)snprintf(ask, sizeof(ask), "get %s%u", path, i);
        (void)snprintf(answer, sizeof(answer), "getData %s%u 'x' v0\n", path,
                       i);
        scene_ask(sim, client, ask, answer);
    }
}

void scene_steps(struct sim *sim, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cr_assert(sim_step(sim), "%s", sim_finding(sim));
    }
}

void scene_run_ms(struct sim *sim, uint64_t ms)
{
    (void)sim_run(sim, ms * SIM_MS);
    cr_assert_null(sim_finding(sim), "%s", sim_finding(sim));
}

void scene_until_leads(struct sim *sim, unsigned server)
{
    uint64_t end = sim_now_us(sim) + DEADLINE_US;

    while (sim_leader(sim) != server && sim_now_us(sim) < end) {
        scene_run_ms(sim, 1);
    }
    until(sim, "it leads", sim_leader(sim) == server);
}

unsigned scene_until_leader_but(struct sim *sim, unsigned not_server)
{
    uint64_t end = sim_now_us(sim) + DEADLINE_US;

    while ((sim_leader(sim) == 0 || sim_leader(sim) == not_server) &&
           sim_now_us(sim) < end) {
        scene_run_ms(sim, 1);
    }
    until(sim, "another one leads",
          sim_leader(sim) != 0 && sim_leader(sim) != not_server);
    return sim_leader(sim);
}

void scene_until_serves(struct sim *sim, unsigned server)
{
    uint64_t end = sim_now_us(sim) + DEADLINE_US;

    while (!sim_serving(sim, server) && sim_now_us(sim) < end) {
        scene_run_ms(sim, 1);
    }
    until(sim, "it serves", sim_serving(sim, server));
}

void scene_until_phase(struct sim *sim, unsigned server, const char *phase)
{
    const char *now = "";

    for (uint64_t end = sim_now_us(sim) + DEADLINE_US;
         sim_now_us(sim) < end && sim_finding(sim) == NULL;) {
        now = sim_up(sim, server) ? zab_phase_name(scene_zab(sim, server))
                                  : "down";
        if (strcmp(now, phase) == 0) {
            return;
        }
        if (!sim_step(sim)) {
            break;
        }
    }
    cr_assert_fail("server %u is %s and was never %s: %s", server, now, phase,
                   sim_finding(sim) == NULL ? "" : sim_finding(sim));
}

const struct zab *scene_zab(const struct sim *sim, unsigned server)
{
    return inspect_zab(sim_replica(sim, server));
}

uint64_t scene_mark(const struct sim *sim, enum zab_mark mark)
{
    uint64_t count = 0;

    for (unsigned server = 1; server <= sim_servers(sim); server++) {
        if (sim_up(sim, server)) {
            count += zab_marks(scene_zab(sim, server))[mark];
        }
    }
    return count;
}

void scene_golden(struct sim *sim, const char *name)
{
    struct buf text = {0};
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s.trace", name);
    if (getenv("UPDATE") != NULL) { // NOLINT(concurrency-mt-unsafe)
        file = fopen(path, "we");
        cr_assert_not_null(file, "%s", path);
        (void)fwrite(sim->lines.data, 1, sim->lines.len, file);
        cr_assert_eq(fclose(file), 0);
        sim_forget_lines(sim);
        return;
    }
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    for (size_t got = 1; got > 0;) {
        got = fread(buf_extend(&text, 4096), 1, 4096, file);
        text.len -= 4096 - got;
    }
    cr_assert_eq(fclose(file), 0);
    buf_append(&text, slice_make("", 1));
    sim_expect(sim, (const char *)text.data);
    buf_finish(&text);
}

unsigned scene_other(const struct sim *sim, unsigned a, unsigned b)
{
    unsigned server = 1;

    while (server == a || server == b) {
        server++;
    }
    cr_assert_leq(server, sim_servers(sim));
    return server;
}

void scene_equal(const struct sim *sim, unsigned a, unsigned b)
{
    struct inspect_server one, other;

    inspect_server(sim_replica(sim, a), &one);
    inspect_server(sim_replica(sim, b), &other);
    cr_expect_eq(one.zxid, other.zxid);
    cr_expect_eq(one.tree_digest, other.tree_digest);
    cr_expect_eq(one.session_digest, other.session_digest);
}

static void until(struct sim *sim, const char *what, bool done)
{
    cr_assert(done, "not within 30 s: %s (%s)", what,
              sim_finding(sim) == NULL ? "no finding" : sim_finding(sim));
}

static size_t lines_in(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n' ? 1 : 0;
    }
    return count;
}
