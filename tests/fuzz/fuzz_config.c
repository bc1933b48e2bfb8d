/* zoo.cfg. Whatever is read without an error, printed and read again, must mean
 * the same; no report may be more than one line. */
#include "base/buf.h"
#include "base/check.h"
#include "server/config.h"
#include "tests/fuzz/fuzz.h"

struct reports {
    size_t errors;
};

static void take_report(void *arg, bool error, const char *line)
{
    struct reports *reports = arg;

    CHECK(strlen(line) > 0);
    for (const char *c = line; *c != '\0'; c++) {
        CHECK((unsigned char)*c >= ' ' && (unsigned char)*c <= '~');
    }
    reports->errors += error ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct config config = {0}, again = {0};
    struct reports reports = {0};
    struct buf first = {0}, second = {0};

    if (config_parse(&config, "zoo.cfg", (const char *)bytes, len, take_report,
                     &reports) != 0) {
        CHECK(reports.errors > 0);
        config_finish(&config);
        return 0;
    }
    CHECK(reports.errors == 0);
    CHECK(config.data_dir != NULL && config.log_dir != NULL);
    CHECK(config.session_timeout_ms_min <= config.session_timeout_ms_max);
    CHECK(config.frame_size_max >= 1024);
    CHECK(config.output_mark <= config.output_max);
    config_print(&config, &first);
    if (config.super_digest == NULL && config.ensemble_name == NULL) {
        CHECK(config_parse(&again, "zoo.cfg", (const char *)first.data,
                           first.len, take_report, &reports) == 0);
        config_print(&again, &second);
        CHECK(slice_equal(buf_bytes(&first), buf_bytes(&second)));
    }
    (void)config_word_allowed(&config, "ruok");
    buf_finish(&first);
    buf_finish(&second);
    config_finish(&config);
    config_finish(&again);
    return 0;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    static const char *const texts[] = {
        "dataDir=/d\nclientPort=2181\n",
        "# c\n! d\ndataDir : /d\\u00e9\nclient\\\n Port 0x885\n"
        "tickTime=2000\r\ninitLimit=10\rsyncLimit=5\n",
        "dataDir=/d\nserver.1=[::1]:2888:3888:participant;1.2.3.4:2181\n"
        "maxClientCnxns=-1\nminSessionTimeout=1\nmaxSessionTimeout=9\n",
        "dataDir=/d\nclientPort=1\nserver.1=a:1:2\nserver.2=b:1:2;3\n",
        "dataDir=/d\nserver.3=c:1:2\nserver.1=a:1:2;[::]:4\ninitLimit=1\n"
        "server.2=[::1]:1:2:observer;3\nsyncLimit=1\npeerType=observer\n",
        "dataDir=/d\nclientPort=1\ndynamicConfigFile=/c/z.dynamic.1f\n"
        "standaloneEnabled=false\nlinearizableReads=all\n",
        "zookeeper.dataDir=a\\\\b\nclientPort=0\n4lw.commands.whitelist=*\n"
        "preAllocSize=64\ndiskReserve=4k\nforceSync=no\nskipACL=yes\n"
        "logLevel=debug\nsnapCount=7\nautopurge.purgeInterval=5m\n",
        "sslQuorum=true\nadmin.enableServer=true\nunknown=1\nweight.1=2\n"
        "DigestAuthenticationProvider.superDigest=super:x\n",
        "dataDir=d\nclientPort=1\nensembleAuthName=n\n"
        "DigestAuthenticationProvider.superDigest="
        "super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        give(arg, slice_from_text(texts[i]));
    }
}
