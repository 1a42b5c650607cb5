# Which packages ours depends on: what its own class's programs are linked with, as dpkg-shlibdeps says. Not what the
# libraries for other classes are: a system with programs of another class has its libc, and no other needs it.
# cpack runs this between installing into CPACK_TEMPORARY_DIRECTORY and packing that.
file(GLOB programs ${CPACK_TEMPORARY_DIRECTORY}${CPACK_RECVSHIM_BINDIR}/* ${CPACK_TEMPORARY_DIRECTORY}${CPACK_RECVSHIM_LIBDIR}/*.so)
list(LENGTH programs count)
if(count LESS 2)
  message(FATAL_ERROR "${CPACK_TEMPORARY_DIRECTORY} should hold the command and the library, but has: ${programs}")
endif()
set(place ${CPACK_TOPLEVEL_DIRECTORY}/dependencies) # dpkg-shlibdeps wants a source package around it
file(WRITE ${place}/debian/control "")
execute_process(COMMAND dpkg-shlibdeps -O ${programs} WORKING_DIRECTORY ${place}
  OUTPUT_VARIABLE said ERROR_VARIABLE complaint RESULT_VARIABLE status OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0 OR NOT said MATCHES "^shlibs:Depends=(.+)$")
  message(FATAL_ERROR "dpkg-shlibdeps (of dpkg-dev) ended with ${status}: ${said} ${complaint}")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS ${CMAKE_MATCH_1})
