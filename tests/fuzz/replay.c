/*
 * A fuzz target without its fuzzer: feeds it every file of the directories and
 * files named, so that any compiler and any sanitizer sees the kept corpus.
 */
#include "base/must.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path)
{
    must_context(path);
    FILE *file = fopen(path, "rb");
    must(file != NULL);
    struct stat info;
    must(fstat(fileno(file), &info) == 0);
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1); // exactly its size: a byte too far is seen
    must(data != NULL);
    must(fread(data, 1, size, file) == size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static size_t replay(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        replay_file(path);
        return 1;
    }
    size_t n = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char inner[4096];
        int len = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        must(len > 0 && (size_t)len < sizeof inner);
        replay_file(inner);
        n++;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        n += replay(argv[i]);
    printf("%zu inputs\n", n);
    return n > 0 ? 0 : 1;
}
