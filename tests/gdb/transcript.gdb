# SPDX-License-Identifier: Apache-2.0
echo (gdb) print table[5]\n
print table[5]
echo (gdb) watch -l table[5].id\n
watch -l table[5].id
echo (gdb) reverse-continue\n
reverse-continue
echo (gdb) backtrace 2\n
backtrace 2
echo (gdb) when\n
when
echo (gdb) stepi\n
stepi
echo (gdb) print table[5].id\n
print table[5].id
echo (gdb) reverse-stepi\n
reverse-stepi
echo (gdb) print table[5].id\n
print table[5].id
