/* A zoo.cfg as text, and what is reported of it. */
#ifndef CORRAL_TESTS_UNIT_SERVER_CONFIG_RIG_H
#define CORRAL_TESTS_UNIT_SERVER_CONFIG_RIG_H

#include "base/buf.h"
#include "server/config.h"

#define CONFIG_BASE "dataDir=/d\nclientPort=2181\n" /* two lines */

/* Of the file "z". said, which the caller finishes, gets "E text\n" and
 * "W text\n" of each report, with a zero at its end. */
int config_rig_parse(struct config *config, const char *text, struct buf *said);
/* Exactly these reports. */
void config_rig_expect(const char *text, const char *reports);
/* None. */
void config_rig_accept(struct config *config, const char *text);
void config_rig_collect(void *said, bool error, const char *line);

#endif
