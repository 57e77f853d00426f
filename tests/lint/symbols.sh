#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The deterministic libraries must not be able to look at the host: no undefined symbol of theirs may be
# a function that reads time, randomness, the environment or a file descriptor.
# usage: symbols.sh LIBRARY...
set -u
banned='read|pread|pread64|readv|write|pwrite|pwrite64|writev|open|open64|openat|fopen|fopen64|fread|fwrite|fgets|fgetc|getc|getchar|fscanf|scanf|fputs|puts|printf|vprintf|fprintf|vfprintf|perror|opendir|readdir|stat|fstat|lstat|ioctl|fcntl|close|poll|ppoll|select|epoll_wait|eventfd|timerfd_create|pipe|socket|connect|accept|recv|recvfrom|recvmsg|send|sendto|sendmsg|clock_gettime|clock_getres|clock_nanosleep|nanosleep|usleep|sleep|gettimeofday|time|times|clock|ftime|localtime|localtime_r|gmtime|mktime|timespec_get|rand|rand_r|srand|random|srandom|random_r|drand48|lrand48|mrand48|erand48|arc4random|arc4random_buf|getrandom|getentropy|getenv|secure_getenv|getpid|gettid|getuid|uname|sysconf|gethostname|sched_getcpu|getcpu|getauxval|syscall|pthread_create|fork|execve|system|popen|dlopen|setlocale'
failed=0
for lib in "$@"; do
	# _chk and __isoc99_ variants are the same functions under other names.
	bad=$(nm -u "$lib" 2>/dev/null | sed -n 's/^ *U //p' | sed 's/@.*//; s/^__\(.*\)_chk$/\1/; s/^__isoc99_//' |
		sort -u | grep -xE "$banned")
	if [ -n "$bad" ]; then
		failed=$((failed + 1))
		for symbol in $bad; do
			echo "$(basename "$lib"): uses $symbol"
		done
	fi
	count=$(nm -u "$lib" 2>/dev/null | grep -c ' U ')
	echo "$(basename "$lib"): $count undefined symbols looked at"
	[ "$count" -gt 0 ] || [ "$(basename "$lib")" = librv_cpu.a ] || { failed=$((failed + 1)); echo "  nothing to look at?"; }
done
[ "$failed" = 0 ]
