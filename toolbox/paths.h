/* paths.h - where the toolbox lives inside a container; the executor mounts both. */
#ifndef TOOLBOX_PATHS_H
#define TOOLBOX_PATHS_H

#define TB_BIN_DIR "/mnt/millrace/bin" /* read-only volume with the binary */
#define TB_RUN_DIR "/mnt/millrace/run" /* tmpfs of ours: step scripts */

#endif
