#include "proxy/settings/edit.hh"

#include "samples.hh"

using namespace i3;
using namespace i3::test;

namespace {
const std::string kBook = with_keys(R"(<?xml version="1.0"?>
<!-- </address-book> in a comment misleads nobody -->
<address-book>
    <host name="a" key="KEY1"/>   <!-- my first -->
    <!-- the end -->
</address-book>
<!-- after -->
)");
const std::string kKey1 = key_number(1).text();
const std::string kKey2 = key_number(2).text();
}  // namespace

TEST_CASE(
    "a host is added as the last line of the book, indented as the others, nothing else moves") {
  CHECK(book_with_added(kBook, "b", "New", key_number(2)) == with_keys(R"(<?xml version="1.0"?>
<!-- </address-book> in a comment misleads nobody -->
<address-book>
    <host name="a" key="KEY1"/>   <!-- my first -->
    <!-- the end -->
    <host name="new" key="KEY2"/>
</address-book>
<!-- after -->
)"));
}

TEST_CASE("a book in one line, self-closed, or with DOS line ends stays what it was") {
  CHECK(book_with_added("<address-book/>", "b", "a", key_number(1)) ==
        "<address-book>\n  <host name=\"a\" key=\"" + kKey1 + "\"/>\n</address-book>");
  CHECK(book_with_added("<address-book></address-book>", "b", "a", key_number(1)) ==
        "<address-book>\n  <host name=\"a\" key=\"" + kKey1 + "\"/>\n</address-book>");
  CHECK(book_with_added("<address-book>\r\n</address-book>\r\n", "b", "a", key_number(1)) ==
        "<address-book>\r\n  <host name=\"a\" key=\"" + kKey1 + "\"/>\r\n</address-book>\r\n");
  CHECK(book_with_added(empty_book(), "b", "a", key_number(1)) ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<address-book>\n  <host name=\"a\" key=\"" +
            kKey1 + "\"/>\n</address-book>\n");
}

TEST_CASE("adding the same again changes nothing, another key under the name is refused") {
  CHECK(book_with_added(kBook, "b", "A", key_number(1)) == kBook);
  CHECK(refusal_of([] { book_with_added(kBook, "b", "a", key_number(2)); }) ==
        "the name a is in b with another key; remove it first");
  CHECK(refusal_of([] {
          book_with_added(kBook, "b", "x\"/><y", key_number(2));
        }).starts_with("name \"x\"/><y\" has a character that names cannot have"));
}

TEST_CASE("removing takes the line with its comment, and only it") {
  CHECK(book_without(kBook, "b", "A") == R"(<?xml version="1.0"?>
<!-- </address-book> in a comment misleads nobody -->
<address-book>
    <!-- the end -->
</address-book>
<!-- after -->
)");
  const std::string two = with_keys(
      "<address-book><host name=\"a\" key=\"KEY1\"></host><host name=\"b\" "
      "key=\"KEY2\"/></address-book>");
  CHECK(book_without(two, "b", "a") ==
        with_keys("<address-book><host name=\"b\" key=\"KEY2\"/></address-book>"));
  CHECK(refusal_of([] { book_without(kBook, "b", "z"); }) == "no name \"z\" in b");
}

TEST_CASE(
    "importing takes what is new with its options, skips what is there, refuses a conflict whole") {
  const auto result =
      book_with_imported(kBook, "b", with_keys(R"(<address-book><host name="a" key="KEY1"/>
        <group name="radio" key="KEY2" mode="multicast" address="239.1.2.3"/>
        <host name="x" key="KEY3" shortcuts="no" anonymous="yes" middlebox="m"/></address-book>)"),
                         "other");
  CHECK(result.added == std::vector<std::string>{"radio", "x"});
  CHECK(result.skipped == std::vector<std::string>{"a"});
  const auto book = AddressBook::parse(result.text, "b");
  REQUIRE(book.entries().size() == 3);
  CHECK(book.entries()[1].address->text() == "239.1.2.3");
  CHECK(book.entries()[2].anonymous);
  CHECK_FALSE(book.entries()[2].shortcuts);
  CHECK(book.entries()[2].middlebox == "m");
  CHECK(refusal_of([] {
          book_with_imported(kBook, "b",
                             with_keys("<address-book><host name=\"n\" key=\"KEY3\"/><host "
                                       "name=\"a\" key=\"KEY2\"/></address-book>"),
                             "o");
        }) == "the name a is in b with another key; remove it first");
}

TEST_CASE("a rule goes into <inbound>, which is made where it is missing") {
  const std::string config =
      "<i3-proxy>\n  <inbound>\n    <allow from=\"*\"/>\n  </inbound>\n</i3-proxy>\n";
  CHECK(config_with_allow(config, "p", kKey1, "tcp", "22,80") ==
        "<i3-proxy>\n  <inbound>\n    <allow from=\"*\"/>\n    <allow from=\"" + kKey1 +
            "\" protocol=\"tcp\" ports=\"22,80\"/>\n  </inbound>\n</i3-proxy>\n");
  CHECK(config_with_allow(config, "p", "*", "", "") == config);
  CHECK(config_with_allow("<i3-proxy>\n</i3-proxy>", "p", "Alice", "", "") ==
        "<i3-proxy>\n  <inbound>\n    <allow from=\"alice\"/>\n  </inbound>\n</i3-proxy>");
  CHECK(refusal_of([&] {
          config_with_allow(config, "p", "a b", "", "");
        }).starts_with("name \"a b\""));
  CHECK(refusal_of([&] {
          config_with_allow(config, "p", "a", "", "9-1");
        }).starts_with("ports \"9-1\" has the range"));
  CHECK(refusal_of([&] {
          config_with_allow(config, "p", "a", "xx", "");
        }).starts_with("protocol \"xx\" is unknown"));
}

TEST_CASE("an entry node and the operator's key go into <overlay>") {
  const EntryNode bare{*Endpoint::parse("192.0.2.1:5100"), {}};
  const EntryNode keyed{bare.address, key_number(1)};
  std::string text = config_with_node("<i3-proxy/>", "p", bare);
  CHECK(
      text ==
      "<i3-proxy>\n  <overlay>\n    <node address=\"192.0.2.1:5100\"/>\n  </overlay>\n</i3-proxy>");
  text = config_with_node(text, "p", keyed);
  CHECK(text.find("<node key=\"" + kKey1 + "\" address=\"192.0.2.1:5100\"/>") != std::string::npos);
  CHECK(config_with_node(text, "p", bare) == text);
  CHECK(refusal_of([&] {
          config_with_node(text, "p", {bare.address, key_number(2)});
        }) == "the node 192.0.2.1:5100 is in p with another key; remove it first");
  const std::string open =
      "<i3-proxy><overlay listen='[::]:0' operator-key='' ></overlay></i3-proxy>";
  CHECK(config_with_operator_key(open, "p", key_number(2)) ==
        "<i3-proxy><overlay listen='[::]:0' operator-key='" + kKey2 + "' ></overlay></i3-proxy>");
  CHECK(refusal_of([&] {
          config_with_operator_key(config_with_operator_key(open, "p", key_number(2)), "p",
                                   key_number(1));
        }).starts_with("p names another ring's operator-key"));
}
