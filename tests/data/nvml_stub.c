/* A card that NVML might know: libnvidia-ml.so.1 for machines without one, as far as harness/measure/nvml.py asks it.

       cc -shared -fPIC -o libnvidia-ml.so.1 nvml_stub.c        (what the fixture `nvml` of the tests does)

   It says what the file $NVML_STUB says, read again at every call, a line each:

       uuid GPU-1234          used 5000000000      total 80000000000     driver 580.65    cuda 13000    cards 1
       process self 3000000   (or a pid; several lines; bytes of -1: not available)
       watts 100              energy grows by so much, refreshed every `refresh` ms; `joules 7` is where it stands at 0 s
       sm 1500  sm_max 1980   mem 2619  mem_max 2619   throttle 4   temperature 40   limit 700000  default 700000  mig 0
       name Stub-80GB         persistence 1
       error nvmlDeviceGetTemperature 3                the function fails so (3: not supported, 15: GPU is lost)
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned int uint;
typedef unsigned long long ull;
typedef struct { ull total, free, used; } Memory;
typedef struct { uint pid; ull used; uint gpu_instance, compute_instance; } Process;

static int card, part; /* their addresses are the handles */

static FILE *script(void) {
    const char *path = getenv("NVML_STUB");
    return path ? fopen(path, "r") : NULL;
}

static double said(const char *key, double otherwise) {
    char line[256], name[128];
    double value, found = otherwise;
    FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %lf", name, &value) == 2 && !strcmp(name, key)) found = value;
    if (file) fclose(file);
    return found;
}

static void text(const char *key, char *into, const char *otherwise) {
    char line[256], name[128], value[128];
    FILE *file = script();
    strcpy(into, otherwise);
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %127s", name, value) == 2 && !strcmp(name, key)) strcpy(into, value);
    if (file) fclose(file);
}

static uint of_card(void *handle, uint *found, double value) {
    if (handle != &card) return 3; /* a part of a card has none of these */
    *found = (uint)value;
    return 0;
}

static int fault(const char *function) {
    char line[256], name[128];
    int code, found = 0;
    FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "error %127s %d", name, &code) == 2 && !strcmp(name, function)) found = code;
    if (file) fclose(file);
    return found;
}

#define ASKED do { int code = fault(__func__); if (code) return code; } while (0)

int nvmlInitWithFlags(uint flags) { (void)flags; ASKED; return 0; }
int nvmlShutdown(void) { return 0; }

const char *nvmlErrorString(int code) {
    return code == 3 ? "Not Supported" : code == 6 ? "Not Found" : code == 15 ? "GPU is lost" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *into, uint length) {
    char found[128];
    ASKED;
    text("driver", found, "580.65.06");
    snprintf(into, length, "%s", found);
    return 0;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    ASKED;
    *version = (int)said("cuda", 13000);
    return 0;
}

int nvmlDeviceGetCount_v2(uint *count) {
    ASKED;
    *count = (uint)said("cards", 1);
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    char ours[128];
    ASKED;
    text("uuid", ours, "GPU-1234");
    if (strcmp(uuid, ours)) return 6;
    *handle = strncmp(ours, "MIG-", 4) ? &card : &part;
    return 0;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **whole) {
    ASKED;
    if (handle != &part) return 2;
    *whole = &card;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(uint index, void **handle) {
    ASKED;
    if (index) return 6;
    *handle = &card;
    return 0;
}

int nvmlDeviceGetUUID(void *handle, char *into, uint length) {
    char found[128];
    (void)handle;
    ASKED;
    text("uuid", found, "GPU-1234");
    snprintf(into, length, "%s", found);
    return 0;
}

int nvmlDeviceGetName(void *handle, char *into, uint length) {
    char found[128];
    (void)handle;
    ASKED;
    text("name", found, "Stub-80GB");
    snprintf(into, length, "%s", found);
    return 0;
}

int nvmlDeviceGetPersistenceMode(void *handle, uint *mode) {
    ASKED;
    return of_card(handle, mode, said("persistence", 1));
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *found) {
    (void)handle;
    ASKED;
    found->total = said("total", 80e9);
    found->used = said("used", 1e9);
    found->free = found->total - found->used;
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, uint *count, Process *found) {
    char line[256], pid[64];
    double bytes;
    uint room = *count, held = 0;
    FILE *file;
    (void)handle;
    ASKED;
    file = script();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "process %63s %lf", pid, &bytes) == 2) {
            if (held < room && found) {
                found[held].pid = strcmp(pid, "self") ? (uint)atoi(pid) : (uint)getpid();
                found[held].used = bytes < 0 ? ~0ULL : (ull)bytes;
                found[held].gpu_instance = found[held].compute_instance = ~0U;
            }
            held++;
        }
    if (file) fclose(file);
    *count = held;
    return held > room ? 7 : 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, ull *millijoules) {
    struct timespec now;
    double ms, refresh;
    ASKED;
    if (handle == &part) return 3;
    clock_gettime(CLOCK_MONOTONIC, &now);
    refresh = said("refresh", 20);
    ms = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
    ms -= (ull)ms % (ull)refresh;
    *millijoules = 1e3 * said("joules", 0) + said("watts", 0) * ms;
    return 0;
}

int nvmlDeviceGetClockInfo(void *handle, uint kind, uint *mhz) {
    ASKED;
    return of_card(handle, mhz, kind == 2 ? said("mem", 2619) : said("sm", 1500));
}

int nvmlDeviceGetMaxClockInfo(void *handle, uint kind, uint *mhz) {
    ASKED;
    return of_card(handle, mhz, kind == 2 ? said("mem_max", 2619) : said("sm_max", 1980));
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, ull *bits) {
    (void)handle;
    ASKED;
    *bits = (ull)said("throttle", 0);
    return 0;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, ull *bits) {
    (void)handle;
    ASKED;
    *bits = (ull)said("throttle", 0);
    return 0;
}

int nvmlDeviceGetTemperature(void *handle, uint sensor, uint *celsius) {
    (void)sensor;
    ASKED;
    return of_card(handle, celsius, said("temperature", 40));
}

int nvmlDeviceGetPowerManagementLimit(void *handle, uint *milliwatts) {
    ASKED;
    return of_card(handle, milliwatts, said("limit", 700000));
}

int nvmlDeviceGetPowerManagementDefaultLimit(void *handle, uint *milliwatts) {
    ASKED;
    return of_card(handle, milliwatts, said("default", 700000));
}

int nvmlDeviceGetMigMode(void *handle, uint *current, uint *pending) {
    (void)handle;
    ASKED;
    *current = *pending = (uint)said("mig", 0);
    return 0;
}
