/*
 * banned.h - functions that have hurt mail servers before are poisoned. Included last by every .c file of src/.
 *
 * strcpy/strcat/sprintf know no sizes, strtok keeps state, atoi knows no errors, gets needs no comment, alloca
 * makes the stack's depth the stranger's choice.
 */
#pragma once

#undef alloca /* glibc makes it a macro */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets alloca strncpy strncat
