# CORRAL_CHECK_CFLAGS(VARIABLE, FLAGS)
# Puts those of FLAGS that the compiler knows into VARIABLE and substitutes it.
AC_DEFUN([CORRAL_CHECK_CFLAGS], [
    for flag in $2; do
        AC_MSG_CHECKING([whether $CC takes $flag])
        corral_saved_CFLAGS=$CFLAGS
        CFLAGS="-Werror $flag"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
            [AC_MSG_RESULT([yes]); $1="$$1 $flag"], [AC_MSG_RESULT([no])])
        CFLAGS=$corral_saved_CFLAGS
    done
    AC_SUBST([$1])
])
