# Writes the bytes of the file FROM as a C++ source TO.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${TO} "#include \"overlay/node/kernel/relay_program.hh\"\n\n"
     "namespace i3 {\nnamespace {\nalignas(8) constexpr std::uint8_t kProgram[] = {${bytes}};\n}\n"
     "Bytes relay_program() {\n  return kProgram;\n}\n}  // namespace i3\n")
