/* What clients write into zookeeper_limits. Pure functions. */
#ifndef CORRAL_ZNODE_QUOTA_TEXT_H
#define CORRAL_ZNODE_QUOTA_TEXT_H

#include "base/slice.h"

struct quota_limits { /* below 0: no limit */
    int64_t count_soft, bytes_soft, count_hard, bytes_hard;
};

#define QUOTA_LIMITS_NONE ((struct quota_limits){-1, -1, -1, -1})

/* "count=1,bytes=-1=;byteHardLimit=5;countHardLimit=7", in any order. What is
 * no number is no limit; what does not fit is the nearest number that does. */
void quota_limits_parse(struct slice text, struct quota_limits *limits);

#endif
