// SPDX-License-Identifier: MIT
// The first process of the virtual machine: loads the kernel's modules, makes the host's files (read
// only, over 9p) its own under a layer of memory that takes what is written, and runs the command of
// /job in there: a working folder, then one word a line. Linked statically, alone in its archive.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 64

static void must(int ret, const char *what)
{
    if (ret >= 0) return;
    perror(what);
    sync();
    reboot(RB_AUTOBOOT); // the machine is started so that this ends it
}

static void mount_at(const char *what, const char *where, const char *type, unsigned long flags,
                     const char *options)
{
    mkdir(where, 0755); // most are there
    must(mount(what, where, type, flags, options), where);
}

static void load_modules(void)
{
    char path[256];
    must(chdir("/modules"), "/modules");
    FILE *list = fopen("list", "r");
    must(list ? 0 : -1, "list");
    while (fscanf(list, "%250s", path) == 1) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        must(fd, path);
        must((int) syscall(SYS_finit_module, fd, "", 0), path);
        close(fd);
    }
    fclose(list);
}

static void make_root(void)
{
    mount_at("host", "/host", "9p", MS_RDONLY,
             "trans=virtio,version=9p2000.L,msize=262144,cache=loose");
    mount_at("none", "/layer", "tmpfs", 0, "size=75%");
    mkdir("/layer/upper", 0755);
    mkdir("/layer/work", 0755);
    mount_at("none", "/root", "overlay", 0,
             "lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work");
    mount_at("none", "/root/dev", "devtmpfs", 0, "");
    mount_at("none", "/root/dev/shm", "tmpfs", 0, "");
    mount_at("none", "/root/proc", "proc", 0, "");
    mount_at("none", "/root/sys", "sysfs", 0, "");
    mount_at("none", "/root/run", "tmpfs", 0, "");
}

static void run_job(void)
{
    static char text[8192];
    char *words[WORDS + 1] = { 0 };
    int count = 0;
    FILE *job = fopen("/job", "r");
    must(job ? 0 : -1, "/job");
    size_t n = fread(text, 1, sizeof text - 1, job);
    text[n] = 0;
    fclose(job);
    for (char *w = strtok(text, "\n"); w && count < WORDS; w = strtok(NULL, "\n"))
        words[count++] = w;
    must(chroot("/root"), "chroot");
    must(chdir(words[0]), words[0]);
    execv(words[1], words + 1);
    must(-1, words[1]);
}

int main(void)
{
    mount_at("none", "/dev", "devtmpfs", 0, "");
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; console >= 0 && fd < 3; fd++) dup2(console, fd);
    load_modules();
    make_root();
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LANG", "C.UTF-8", 1);
    pid_t job = fork();
    if (!job) run_job();
    for (pid_t gone = 0; gone != job;) gone = wait(NULL);
    sync();
    reboot(RB_AUTOBOOT);
    return 0;
}
