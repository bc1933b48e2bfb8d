/* With libFuzzer: an empty corpus directory gets the seeds first. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "tests/fuzz/fuzz.h"

struct corpus {
    const char *dir;
    unsigned written;
};

/* libFuzzer calls this, when there is one, before it reads the corpus. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

static bool is_empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    size_t entries = 0;

    if (dir == NULL) {
        return false;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        entries += e->d_name[0] != '.';
    }
    (void)closedir(dir);
    return entries == 0;
}

static void write_seed(void *arg, struct slice input)
{
    struct corpus *corpus = arg;
    char path[4096];
    FILE *file;
    int len = snprintf(path, sizeof(path), "%s/seed-%03u", corpus->dir,
                       corpus->written++);

    CHECK(len > 0 && (size_t)len < sizeof(path));
    file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(input.ptr, 1, input.len, file) == input.len);
    CHECK(fclose(file) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    for (int i = 1; i < *argc; i++) {
        const char *arg = (*argv)[i];

        if (arg[0] != '-' && is_empty_dir(arg)) {
            struct corpus corpus = {.dir = arg};

            fuzz_seeds(write_seed, &corpus);
            break;
        }
    }
    return 0;
}
