/*
 * banned.h - functions that have hurt mail servers before are poisoned. Included last by every .c file of src/.
 *
 * strcpy/strcat/sprintf know no sizes, strtok keeps state, atoi knows no errors, gets needs no comment, alloca
 * makes the stack's depth the stranger's choice.
 */
#pragma once

/* Some are macros of the C library, by its version and the compiler's options. */

#undef alloca /* glibc makes it a macro */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef atoll
#undef gets
#undef alloca
#undef strncpy
#undef strncat
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets alloca strncpy strncat
