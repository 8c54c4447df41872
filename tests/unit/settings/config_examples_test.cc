// The files of config/: each example loads, and the schema and the loaders judge alike.
#include <cstdlib>
#include <fstream>
#include <sys/wait.h>

#include "overlay/base/xml/node_settings.hh"
#include "samples.hh"
#include "temporary_folder.hh"

using namespace i3;
using namespace i3::test;

namespace {

const std::string kConfig = I3_CONFIG;

bool schema_accepts(const std::string& file) {
  const std::string command =
      "xmllint --nonet --noout --schema '" + kConfig + "/i3.xsd' '" + file + "' >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  REQUIRE(WIFEXITED(status));
  REQUIRE_MESSAGE(WEXITSTATUS(status) != 127, "xmllint is needed (libxml2-utils)");
  REQUIRE_MESSAGE(WEXITSTATUS(status) != 5, "the schema itself is wrong");
  return WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("every example loads") {
  CHECK(load_proxy_settings(kConfig + "/proxy.xml").books.find("home"));
  CHECK(load_node_settings(kConfig + "/node.xml").listen.size() == 2);
  CHECK(load_gateway_settings(kConfig + "/gateway.xml").i3_to_ip);
  CHECK(AddressBook::load(kConfig + "/book.xml").entries().size() >= 5);
}

TEST_CASE("the schema accepts every example") {
  for (const char* name : {"proxy.xml", "node.xml", "gateway.xml", "book.xml"}) {
    CAPTURE(name);
    CHECK(schema_accepts(kConfig + '/' + name));
  }
}

TEST_CASE("the schema refuses what the loaders refuse, and accepts the smallest files") {
  TemporaryFolder folder;
  const std::string file = folder / "f.xml";
  const auto judged = [&](const std::string& text) {
    std::ofstream(file) << with_keys(text);
    return schema_accepts(file);
  };
  CHECK(judged("<i3-proxy/>"));
  CHECK(judged("<i3-node><listen address=\"0.0.0.0:5100\"/></i3-node>"));
  CHECK(judged("<address-book/>"));
  CHECK(judged("<i3-gateway><middlebox/></i3-gateway>"));
  CHECK(judged("<i3-gateway><relay/></i3-gateway>"));
  CHECK(judged("<i3-proxy><inbound stack=\"m\"/></i3-proxy>"));
  CHECK(judged("<address-book><host name=\"g\" key=\"KEY1\" stack=\"m\"/></address-book>"));
  CHECK(judged("<i3-proxy><metrics listen=\"\"/><overlay operator-key=\"\"/><dns/></i3-proxy>"));
  CHECK(judged("<i3-proxy><inbound middlebox=\"m\"/></i3-proxy>"));
  CHECK(judged("<i3-gateway><i3-to-ip middlebox=\"m\"/></i3-gateway>"));
  CHECK(judged("<address-book><gateway name=\"g\" key=\"KEY1\" middlebox=\"m\"/></address-book>"));
  CHECK(
      judged("<i3-gateway><ip-to-i3 zone=\"i3.example.org\"><nameserver name=\"ns.example.org\"/>"
             "<listen address=\"203.0.113.9:53\"/></ip-to-i3></i3-gateway>"));
  for (const char* wrong :
       {"<i3-proxy><policy middlebox=\"m\"/></i3-proxy>", "<i3-proxy><dsn/></i3-proxy>",
        "<i3-proxy><dns sufix=\"i3\"/></i3-proxy>",
        "<i3-proxy><dns intercept=\"magic\"/></i3-proxy>",
        "<i3-proxy><overlay shortcuts=\"true\"/></i3-proxy>",
        "<i3-proxy><state idle=\"0\"/></i3-proxy>", "<i3-proxy>text</i3-proxy>",
        "<i3-proxy><inbound><allow/></inbound></i3-proxy>",
        "<i3-proxy><inbound><allow from=\"*\" ports=\"22, 80\"/></inbound></i3-proxy>",
        "<i3-proxy><inbound><allow from=\"*\" protocol=\"sctp\"/></inbound></i3-proxy>",
        "<i3-node/>", "<i3-node><listen/></i3-node>",
        "<i3-node><listen address=\"5100\"/></i3-node>",
        "<address-book><host name=\"a b\" key=\"KEY1\"/></address-book>",
        "<address-book><host name=\"a\"/></address-book>",
        "<address-book><host name=\"a\" key=\"short\"/></address-book>",
        "<address-book><host name=\"a\" key=\"KEY1\"/><host name=\"a\" "
        "key=\"KEY2\"/></address-book>",
        "<address-book><gateway name=\"g\" key=\"KEY1\" shortcuts=\"no\"/></address-book>"}) {
    CAPTURE(wrong);
    CHECK_FALSE(judged(wrong));
  }
}
