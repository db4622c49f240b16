using System.Globalization;
using System.Net;
using FsCheck;
using FsCheck.Fluent;
using McpAuthServer.Clients.Documents;
using HostName = McpAuthServer.Clients.Documents.HostName;

namespace McpAuthServer.Tests.Clients.Documents;

public sealed class FetchPolicyTests
{
    /// <summary>Ways in which one reader or another takes text for 127.0.0.1, 10.0.0.1 or 169.254.169.254.</summary>
    public static TheoryData<string> Disguises =>
    [
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "0177.0.0.1", "017700000001", "0x7f.0x0.0x0.0x1", "127.0.0.0x1", "127.0.0.1.", "127.0.0.01",
        "10.0.0.1", "167772161", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0.0.0.0", "0",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[fe80::1%25eth0]", "[fd00:ec2::254]", "[fec0::1]",
        "127。0。0。1", "127．0．0．1", "１２７.0.0.1", "①②⑦.0.0.1", "%31%32%37.0.0.1", "localhost", "localhost.", "LOCALHOST", "loc%61lhost", "ⓛocalhost", "a.localhost", "a.localhost.", "localhost.localdomain.",
        "intranet", "host.docker.internal.", "metadata", "client.test.", ".client.test", "client..test", "-client.test", "client-.test", "client_a.test", "a.1", "a.0x1",
    ];

    [Theory, MemberData(nameof(Disguises))]
    [Trait("Attack", "19")]
    [Trait("Attack", "18")]
    public void Host_ThatIsAnAddressOrOnlyHere_InAnyNotation_IsRefusedBeforeItIsLookedUp(string host) => Assert.False(Policy().Read($"https://{host}/client.json").Ok);

    [Theory]
    [InlineData("")]
    [InlineData("http://a.client.test/client.json")]
    [InlineData("HTTPS://a.client.test/client.json")]
    [InlineData("ftp://a.client.test/client.json")]
    [InlineData("file:///client.json")]
    [InlineData("https:a.client.test/client.json")]
    [InlineData("https:/a.client.test/client.json")]
    [InlineData("https:///a.client.test/client.json")]
    [InlineData("https://a.client.test")]
    [InlineData("https://A.client.test/client.json")]
    [InlineData("https://a.client.test:443/client.json")]
    [InlineData("https://a.client.test:/client.json")]
    [InlineData("https://a.client.test:0443/client.json")]
    [InlineData("https://a.client.test:99999/client.json")]
    [InlineData("https://user@a.client.test/client.json")]
    [InlineData("https://user:pass@a.client.test/client.json")]
    [InlineData("https://@a.client.test/client.json")]
    [InlineData("https://a.client.test@b.client.test/client.json")]
    [InlineData("https://a.client.test/client.json#fragment")]
    [InlineData("https://a.client.test/client.json#")]
    [InlineData("https://a.client.test/./client.json")]
    [InlineData("https://a.client.test/a/../client.json")]
    [InlineData("https://a.client.test/..")]
    [InlineData("https://a.client.test/%2e%2e/client.json")]
    [InlineData("https://a.client.test/%2E/client.json")]
    [InlineData("https://a.client.test\\client.json")]
    [InlineData("https://a.client.test/a\\client.json")]
    [InlineData("https://a.client.test/a b")]
    [InlineData("https://a.client.test/a\tb")]
    [InlineData("https://a.client.test/\u00e4")]
    [InlineData(" https://a.client.test/client.json")]
    [Trait("Attack", "27")]
    public void Address_NotInItsOnePlainForm_IsRefused(string address) => Assert.False(Policy().Read(address).Ok);

    [Theory]
    [InlineData("https://a.client.test/client.json")]
    [InlineData("https://a.client.test:8443/oauth/client-metadata.json")]
    [InlineData("https://xn--bcher-kva.client.test/x")]
    [InlineData("https://127.0.0.1.client.test/x")]
    [InlineData("https://a.client.test/@user/client;v=1")]
    [InlineData("https://chatgpt.com/oauth/tU1UVEq8rRTK/client.json")]
    [InlineData("https://claude.ai/oauth/claude-code-client-metadata")]
    [InlineData("https://vscode.dev/oauth/client-metadata.json")]
    public void Address_InItsOnePlainForm_IsTakenAsItStands(string address) => Assert.Equal(address, Policy().Read(address).Value.AbsoluteUri);

    [Fact]
    [Trait("Attack", "27")]
    public void Address_TooLong_IsRefused()
    {
        Assert.True(Policy().Read("https://a.client.test/" + new string('a', 478)).Ok);
        Assert.False(Policy().Read("https://a.client.test/" + new string('a', 479)).Ok);
    }

    [Theory]
    [InlineData("a.client.test", true)]
    [InlineData("b.client.test", false)]
    [InlineData("x.allowed.test", true)]
    [InlineData("x.y.allowed.test", true)]
    [InlineData("allowed.test", false)]
    [InlineData("notallowed.test", false)]
    [InlineData("evil.allowed.test", false)]
    [InlineData("allowed.test.evil.test", false)]
    public void Hosts_AllowedAndDenied_AreMatchedWhole(string host, bool taken)
    {
        var policy = Policy(o =>
        {
            o.AllowHosts.Add("a.client.test");
            o.AllowHosts.Add("*.allowed.test");
            o.DenyHosts.Add("evil.allowed.test");
        });
        Assert.Equal(taken, policy.Read($"https://{host}/x").Ok);
    }

    [Theory]
    [InlineData("localhost:8443", "https://localhost:8443/x", true)]
    [InlineData("localhost:8443", "https://localhost:8444/x", false)]
    [InlineData("localhost:8443", "https://127.0.0.1:8443/x", false)]
    [InlineData("localhost:8443", "http://localhost:8443/x", false)]
    [InlineData("127.0.0.1:8443", "https://127.0.0.1:8443/x", true)]
    [InlineData("127.0.0.1:8443", "https://127.1:8443/x", false)]
    [InlineData("[::1]:8443", "https://[::1]:8443/x", true)]
    public void Loopback_OnlyWhatTheOperatorOpened_IsTaken(string opened, string address, bool taken) => Assert.Equal(taken, Policy(o => o.Loopback.Add(opened)).Read(address).Ok);

    [Theory]
    [InlineData("localhost")]
    [InlineData("localhost:")]
    [InlineData("localhost:0443")]
    [InlineData("10.0.0.1:443")]
    [InlineData("a.client.test:443")]
    [InlineData("127.1:8443")]
    [InlineData("https://localhost:8443")]
    [InlineData("localhost:8443/x")]
    public void Loopback_NotHostAndPortOfThisMachine_IsAFault(string entry)
    {
        var options = new ClientDocumentOptions();
        options.Loopback.Add(entry);
        Assert.Single(options.Faults());
    }

    [Theory]
    [InlineData("Client.test")]
    [InlineData("*")]
    [InlineData("*.*.test")]
    [InlineData("10.0.0.1")]
    [InlineData("https://client.test")]
    [InlineData("")]
    public void Hosts_NotNames_AreFaults(string entry)
    {
        var options = new ClientDocumentOptions();
        options.DenyHosts.Add(entry);
        Assert.Single(options.Faults());
    }

    /// <summary>Whatever text is made of an address in any of the ways there are, it is refused, and nothing throws.</summary>
    [Fact]
    [Trait("Attack", "19")]
    public void Host_AnyAddressInAnyNotation_IsRefused() => Prop.ForAll<uint, ushort, byte>((number, port, style) =>
    {
        var bytes = BitConverter.GetBytes(number).Reverse().ToArray();
        var (a, b, c, d) = (bytes[0], bytes[1], bytes[2], bytes[3]);
        string host = (style % 10) switch
        {
            0 => $"{a}.{b}.{c}.{d}",
            1 => number.ToString(CultureInfo.InvariantCulture),
            2 => $"0x{number:x}",
            3 => "0" + Convert.ToString(number, 8),
            4 => $"0x{a:x}.{b}.0{Convert.ToString(c, 8)}.{d}",
            5 => $"{a}.{(b << 16) | (c << 8) | d}",
            6 => $"{a}.{b}.{(c << 8) | d}",
            7 => $"[::ffff:{a}.{b}.{c}.{d}]",
            8 => $"{a}。{b}．{c}｡{d}",
            _ => $"{a}.{b}.{c}.{d}.",
        };
        Assert.False(Policy().Read($"https://{host}:{port}/x").Ok, host);
        Assert.False(Policy().Read($"https://{host}/x").Ok, host);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    /// <summary>Any text at all: an answer, and what is taken is a public name by TLS, exactly as written.</summary>
    [Fact]
    public void Address_AnyText_IsJudgedWithoutFailing() => Prop.ForAll(
        (from parts in Gen.Elements("https://", "http://", "a.client.test", "127.0.0.1", "[::1]", "localhost", ".", "/", "/x", ":443", ":8443", "@", "#", "?", "%2e", "\\", "..", "é", "0x7f", "A")
                .ListOf().Select(list => string.Concat(list))
         from noise in ArbMap.Default.GeneratorFor<string>()
         from at in Gen.Choose(0, 3)
         select at == 0 ? noise ?? "" : at == 1 ? "https://" + parts : parts + noise).ToArbitrary(),
        text =>
        {
            if (!Policy().Read(text).TryGet(out var uri, out _))
                return;
            Assert.Equal(text, uri.AbsoluteUri);
            Assert.Equal("https", uri.Scheme);
            Assert.True(HostName.IsPublic(uri.Host) && !IPAddress.TryParse(uri.Host, out _) && uri.UserInfo.Length == 0, text);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    internal static FetchPolicy Policy(Action<ClientDocumentOptions>? configure = null)
    {
        var options = new ServerOptions();
        configure?.Invoke(options.ClientDocuments);
        return new(options);
    }
}
