// i3-proxy: the per-host daemon. The process that is started is the parent and stays; it runs
// itself again with --worker as the process that does the work (docs/privileges.md).
#include <unistd.h>

#include "proxy/daemon/program.hh"
#include "proxy/platform/host_files.hh"
#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

constexpr char kFirstConfig[] = R"(<i3-proxy>
  <!-- Written at the first start. Every element has a default: docs/configuration.md -->
  <address-book file="book.xml"/>
  <inbound>
    <!-- Nobody is let in without a line here: <allow from="alice" protocol="tcp" ports="22"/> -->
  </inbound>
</i3-proxy>
)";
constexpr char kFirstBook[] = "<address-book>\n</address-book>\n";

// The first start without any configuration: works at once, and leaves files to edit.
void write_first_config(const std::string& config) {
  make_folder_of(config);
  const std::string book = path_named_in(config, "book.xml");
  if (::access(book.c_str(), F_OK) != 0) replace_file(book, kFirstBook);
  if (std::string why = replace_file(config, kFirstConfig); !why.empty())
    throw PlatformError(config + " cannot be written: " + why);
}

}  // namespace
}  // namespace i3

int main(int argc, char** argv) {
  i3::Program program;
  program.name = "i3-proxy";
  program.summary = "Lets every program on this machine reach named machines over an i3 overlay.";
  program.default_config = "/etc/i3/proxy.xml";
  program.default_socket = "/run/i3/proxy.sock";
  program.write_first_config = i3::write_first_config;
  program.read_settings = i3::parse_proxy_settings;
  return i3::run_program(program, argc, argv);
}
