/* room.h - how much memory this process could still take.
 *
 *   uint64_t bytes = cal_room("");
 *   if (bytes && bytes < 1000000000) puts("less than a gigabyte is left");
 *
 * uses: libc
 */
#ifndef CAL_BASE_ROOM_H
#define CAL_BASE_ROOM_H

#include <stdint.h>

/* What the system could give without swapping (MemAvailable of /proc/meminfo; without one half of what there is), and no more than the
 * control groups leave that this process is in (a container's --memory, systemd's MemoryMax; both versions): their limit less what they
 * use, files that were read and may go not counted. Bytes; 0: nobody knows. `root`: the folder in which proc and sys are looked for, "" but
 * in tests. */
uint64_t cal_room(const char *root);

#endif
