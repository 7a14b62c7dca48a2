/*
 * Loaded into a Redis server or a node of the tests: its wall clock is ahead by what the file SERVER_WALL says, a 64-bit number of microseconds.
 * Its monotonic clock goes on as it is. (libfaketime can't be used there: it allocates memory on its way, and the server's own
 * allocator asks for the time on its way.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SERVER_WALL");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return;
  void *found = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (found != MAP_FAILED) ahead = found;
}

static int64_t micros(void) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 + (ahead ? *ahead : 0);
}

int clock_gettime(clockid_t clock, struct timespec *to) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, clock, to);
  int64_t now = micros();
  to->tv_sec = now / 1000000;
  to->tv_nsec = now % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
  (void)zone;
  int64_t now = micros();
  to->tv_sec = now / 1000000;
  to->tv_usec = now % 1000000;
  return 0;
}

time_t time(time_t *to) {
  time_t now = micros() / 1000000;
  if (to) *to = now;
  return now;
}
