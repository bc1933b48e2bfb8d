#include "base/err.h"

const char *err_text(int err)
{
    switch (err) {
        case ERR_OK:
            return "ok";
#define X(name, value, text) \
    case name:               \
        return text;
            ERR_MAP(X)
#undef X
        default:
            return "unknown error";
    }
}
