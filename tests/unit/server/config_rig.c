#include "config_rig.h"

#include <criterion/criterion.h>
#include <string.h>

void config_rig_collect(void *said, bool error, const char *line)
{
    buf_printf(said, "%c %s\n", error ? 'E' : 'W', line);
}

int config_rig_parse(struct config *config, const char *text, struct buf *said)
{
    int err;

    *said = (struct buf){0};
    err =
        config_parse(config, "z", text, strlen(text), config_rig_collect, said);
    buf_append(said, slice_make("", 1));
    return err;
}

void config_rig_expect(const char *text, const char *reports)
{
    struct config config = {0};
    struct buf said;
    int err = config_rig_parse(&config, text, &said);

    cr_expect_str_eq((const char *)said.data, reports, "of %s:\n%s", text,
                     (const char *)said.data);
    cr_expect_eq(err == 0, strstr(reports, "E ") == NULL);
    buf_finish(&said);
    config_finish(&config);
}

void config_rig_accept(struct config *config, const char *text)
{
    struct buf said;

    cr_assert_eq(config_rig_parse(config, text, &said), 0, "%s",
                 (char *)said.data);
    cr_expect_str_eq((const char *)said.data, "");
    buf_finish(&said);
}
