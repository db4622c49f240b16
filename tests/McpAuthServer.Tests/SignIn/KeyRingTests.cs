using System.Net;
using System.Xml.Linq;
using McpAuth.Protocol;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

/// <summary>The keys that seal cookies and forms: shared by nodes, wrapped at rest, and worth no more than the sign-ins they seal.</summary>
public sealed class KeyRingTests
{
    [Theory]
    [Trait("Attack", "176")]
    [InlineData("delete from data_protection_keys")]
    [InlineData("update data_protection_keys set wrapped = x'00'")]
    [InlineData("update data_protection_keys set wrapped = substr(wrapped, 1, length(wrapped) - 1)")]
    public async Task KeyRing_LostOrUnreadable_CostsSignInsOnly(string damage)
    {
        await using var nodes = Nodes.OnSqlite();
        var server = await nodes.StartAsync();
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var page = await browser.GetAsync(Names.Paths.Password);
        var keys = await server.Client().GetStringAsync(Names.Paths.Jwks);
        await server.Services.GetRequiredService<ICommitLog>().Commit(new LambdaUnit<int>(tx => tx.Run(new Sql(damage).With()), StateLock.Exclusive));
        await nodes.StopAsync(server);

        server = await nodes.StartAsync();
        var again = new TestBrowser(server);
        foreach (var cookie in browser.Cookies)
            again.Cookies[cookie.Key] = cookie.Value;

        Assert.Equal(Names.Paths.SignIn, (await again.GetAsync(Names.Paths.Password)).Location);
        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.SignIn), ((await again.PostFormAsync(page)).Status, (await again.PostFormAsync(page)).Location));
        await again.SignInAsync(s.Person);
        Assert.Equal("Change your password", (await again.GetAsync(Names.Paths.Password)).Heading);
        // What is not sealed by the ring is as it was.
        Assert.Equal(keys, await server.Client().GetStringAsync(Names.Paths.Jwks));
    }

    [Fact]
    public async Task KeyRing_KeyMadeByAnotherNodeThisMinute_StandsAlone()
    {
        var server = new TestServer();
        await server.InitializeAsync();
        try
        {
            // The ring has the key that was made at start.
            var ring = server.Services.GetRequiredService<KeyRingStore>();
            var first = Assert.Single(ring.GetAllElements()).ToString();
            ring.StoreElement(new XElement("key", "second"), "second");
            Assert.Equal(first, Assert.Single(ring.GetAllElements()).ToString());

            server.Time.Advance(TimeSpan.FromMinutes(1));
            ring.StoreElement(new XElement("key", "third"), "third");
            Assert.Equal([first, "<key>third</key>"], ring.GetAllElements().Select(key => key.ToString()));

            // One that nobody can read is none.
            await server.Services.GetRequiredService<ICommitLog>().Commit(new LambdaUnit<int>(tx => tx.Run(new Sql("update data_protection_keys set wrapped = x'00'").With()), StateLock.Exclusive));
            ring.StoreElement(new XElement("key", "fourth"), "fourth");
            Assert.Equal("<key>fourth</key>", Assert.Single(ring.GetAllElements()).ToString());
        }
        finally
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task KeyRing_InTheDatabase_IsWrapped()
    {
        var server = new TestServer();
        await server.InitializeAsync();
        try
        {
            var wrapped = await server.Services.GetRequiredService<IReadStore>().All(
                new Sql("select wrapped from data_protection_keys").With(), r => System.Text.Encoding.Latin1.GetString(r.GetFieldValue<byte[]>(0)), default);
            Assert.DoesNotContain("<key", Assert.Single(wrapped), StringComparison.Ordinal);
        }
        finally
        {
            await server.DisposeAsync();
        }
    }
}
