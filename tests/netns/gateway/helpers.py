#!/usr/bin/env python3
# Both ends of protocols that name addresses or ports in their payload, as small as they can be: what the
# helpers of the kernel's conntrack look at. helpers.py server PROTOCOL ADDRESS | client PROTOCOL ADDRESS
# The server's last line says whom it was told to answer; the client's that it was answered.
import re
import socket
import struct
import sys

PATIENCE = 8


def udp(address="0.0.0.0", port=0):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.settimeout(PATIENCE)
    end.bind((address, port))
    return end


def listener(address, port):
    end = socket.create_server((address, port))
    end.settimeout(PATIENCE)
    return end


def accepted(end):
    connection, _ = end.accept()
    connection.settimeout(PATIENCE)
    return connection


def connected(address, port):
    return socket.create_connection((address, port), PATIENCE)


def read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise SystemExit("the connection ended")
        data += part
    return data


def own_address(server):
    probe = udp()
    probe.connect((server, 9))
    return probe.getsockname()[0]


# ---- sip: both say in SDP where they want to hear the other (RFC 3261, 4566)

def sip_message(first, address, media):
    sdp = (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
           f"m=audio {media} RTP/AVP 0\r\n")
    return (f"{first}\r\nVia: SIP/2.0/UDP {address}:5060;branch=z9hG4bK1\r\nFrom: <sip:a@{address}>;tag=1\r\n"
            f"To: <sip:b@example.org>\r\nCall-ID: 1@test\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{address}:5060>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}").encode()


def sdp_place(message):
    text = message.decode()
    return (re.search(r"\r\nc=IN IP4 (\S+)", text).group(1), int(re.search(r"\r\nm=audio (\d+)", text).group(1)))


def sip_server(own):
    signal, media = udp(own, 5060), udp(own, 7000)
    print("ready", flush=True)
    message, peer = signal.recvfrom(4000)
    place = sdp_place(message)
    signal.sendto(sip_message("SIP/2.0 200 OK", own, 7000), peer)
    media.sendto(b"media", place)
    media.recvfrom(100)
    print(place[0])


def sip_client(server):
    own = own_address(server)
    signal, media = udp(own, 5060), udp(own, 6000)
    signal.sendto(sip_message(f"INVITE sip:b@{server} SIP/2.0", own, 6000), (server, 5060))
    place = sdp_place(signal.recvfrom(4000)[0])
    data, source = media.recvfrom(100)
    assert data == b"media" and source == place == (server, 7000), (data, source, place)
    media.sendto(b"media", place)


# ---- irc: DCC SEND offers a file at an address and port

def irc_server(own):
    ear = listener(own, 6667)
    print("ready", flush=True)
    offer = accepted(ear).recv(1000).decode()
    address, port = re.search(r"DCC SEND \S+ (\d+) (\d+)", offer).groups()
    address = socket.inet_ntoa(struct.pack("!I", int(address)))
    assert read(connected(address, int(port)), 4) == b"file"
    print(address)


def irc_client(server):
    own = own_address(server)
    ear = listener(own, 5000)
    chat = connected(server, 6667)
    number = struct.unpack("!I", socket.inet_aton(own))[0]
    chat.sendall(f"PRIVMSG b :\1DCC SEND a.txt {number} 5000 4\1\r\n".encode())
    accepted(ear).sendall(b"file")
    chat.recv(1)


# ---- snmp: an answer has an address as a value (RFC 1157), which the kernel leaves as it is

def ber(kind, content):
    return bytes([kind, len(content)]) + content


def snmp(kind, value):
    number, oid = ber(2, b"\1"), ber(6, bytes([0x2b, 6, 1, 2, 1, 4, 20, 1, 1]))
    variables = ber(0x30, ber(0x30, oid + value))
    return ber(0x30, ber(2, b"\0") + ber(4, b"public") + ber(kind, number + ber(2, b"\0") * 2 + variables))


def snmp_server(own):
    agent = udp(own, 161)
    print("ready", flush=True)
    _, peer = agent.recvfrom(1000)
    agent.sendto(snmp(0xa2, ber(0x40, socket.inet_aton(own))), peer)
    print(own)


def snmp_client(server):
    asker = udp()
    asker.sendto(snmp(0xa0, ber(5, b"")), (server, 161))
    answer, source = asker.recvfrom(1000)
    assert answer[-6:-4] == b"\x40\4" and source == (server, 161), (answer, source)


# ---- pptp: a control connection agrees on call IDs, the call is GRE (RFC 2637)

def pptp_message(kind, body):
    return struct.pack("!HHIHH", 12 + len(body), 1, 0x1A2B3C4D, kind, 0) + body


def pptp_read(control):
    size = struct.unpack("!H", read(control, 2))[0]
    return read(control, size - 2)[10:]


def gre(call, data):
    return struct.pack("!HHHHI", 0x3001, 0x880B, len(data), call, 1) + data


def gre_socket():
    end = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
    end.settimeout(PATIENCE)
    return end


def gre_read(end):
    packet, source = end.recvfrom(2000)
    packet = packet[(packet[0] & 15) * 4:]
    return struct.unpack("!H", packet[6:8])[0], packet[12:], source[0]


def pptp_server(own):
    ear, call = listener(own, 1723), gre_socket()
    print("ready", flush=True)
    control = accepted(ear)
    pptp_read(control)
    control.sendall(pptp_message(2, struct.pack("!HBBIIHH", 0x100, 1, 0, 1, 1, 1, 1) + bytes(128)))
    theirs = struct.unpack("!H", pptp_read(control)[:2])[0]
    control.sendall(pptp_message(8, struct.pack("!HHBBHIHHI", 77, theirs, 1, 0, 0, 1000, 16, 0, 0)))
    number, data, source = gre_read(call)
    assert number == 77 and data == b"up", (number, data)
    call.sendto(gre(theirs, b"down"), (source, 0))
    control.recv(1)
    print(source)


def pptp_client(server):
    call, control = gre_socket(), connected(server, 1723)
    control.sendall(pptp_message(1, struct.pack("!HHIIHH", 0x100, 0, 1, 1, 1, 1) + bytes(128)))
    pptp_read(control)
    request = struct.pack("!HHIIIIHHHH", 55, 1, 300, 100000000, 3, 3, 16, 0, 0, 0) + bytes(128)
    control.sendall(pptp_message(7, request))
    theirs = struct.unpack("!H", pptp_read(control)[:2])[0]
    call.sendto(gre(theirs, b"up"), (server, 0))
    number, data, source = gre_read(call)
    assert (number, data, source) == (55, b"down", server), (number, data, source)


# ---- h323: a Setup message says where the caller listens for H.245 (H.225.0, in aligned PER)

class Per:
    def __init__(self):
        self.data, self.bits = bytearray(), 0

    def put(self, value, size):
        for shift in reversed(range(size)):
            if self.bits == 0:
                self.data.append(0)
            self.data[-1] |= (value >> shift & 1) << 7 - self.bits
            self.bits = (self.bits + 1) % 8

    def aligned(self, content):
        self.bits = 0
        self.data += content


# The message, and where in it the address is.
def setup(address, port):
    per = Per()
    per.put(0, 1 + 1)         # H323-UserInformation: no extension, no user-data
    per.put(0, 1 + 1)         # h323-uu-pdu: no extension, no nonStandardData
    per.put(0, 1 + 3)         # h323-message-body: setup
    per.put(0b01000000, 8)    # Setup-UUIE: no extension; of seven optional parts h245Address
    per.aligned(bytes([6, 0, 8, 0x91, 0x4a, 0, 2]))  # protocolIdentifier 0.0.8.2250.0.2
    per.put(0, 1 + 3)         # h245Address: ipAddress
    per.aligned(b"")
    place = len(per.data)
    per.aligned(socket.inet_aton(address) + struct.pack("!H", port))
    per.put(0, 1 + 6 + 2)     # sourceInfo: nothing of it; mc, undefinedNode
    per.put(0, 1)             # activeMC
    per.aligned(bytes(16))    # conferenceID
    per.put(0, 1 + 2)         # conferenceGoal: create
    per.put(0, 1 + 2)         # callType: pointToPoint
    user = b"\x05" + bytes(per.data)
    q931 = bytes([8, 2, 0, 1, 5, 0x7e]) + struct.pack("!H", len(user)) + user
    head = struct.pack("!BBH", 3, 0, 4 + len(q931))
    return head + q931, len(head) + 6 + 2 + 1 + place


def h323_server(own):
    ear = listener(own, 1720)
    print("ready", flush=True)
    message, place = setup("0.0.0.0", 0)
    heard = read(accepted(ear), len(message))
    address = socket.inet_ntoa(heard[place:place + 4])
    port = struct.unpack("!H", heard[place + 4:place + 6])[0]
    assert read(connected(address, port), 4) == b"h245"
    print(address)


def h323_client(server):
    own = own_address(server)
    ear = listener(own, 5001)
    call = connected(server, 1720)
    call.sendall(setup(own, 5001)[0])
    accepted(ear).sendall(b"h245")
    call.recv(1)


role, protocol, address = sys.argv[1:]
globals()[f"{protocol}_{role}"](address)
if role == "client":
    print("answered")
