using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using McpAuthServer.CallApprovals;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Approvals;

/// <summary>Programs outside are told that something waits, and never what.</summary>
public sealed class ApprovalNoticeTests : IAsyncLifetime
{
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    private readonly OnTheInternet world = new();
    private readonly ConcurrentQueue<(IReadOnlyList<string> Head, string Body)> told = new();
    private int status = 200;

    public Task InitializeAsync()
    {
        world.Server.Settings["McpAuth:Approvals:Webhooks:0:Name"] = "chat";
        world.Server.Settings["McpAuth:Approvals:Webhooks:0:Url"] = "https://chat.client.test/hook";
        world.Server.Settings["McpAuth:Approvals:Webhooks:0:Secret"] = Convert.ToBase64String(Secret);
        world.Internet.Places["chat.client.test/hook"] = new TestPlace(async (stream, head, cancel) =>
        {
            var length = int.Parse(head.Single(l => l.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).Split(':')[1], System.Globalization.CultureInfo.InvariantCulture);
            var body = new byte[length];
            await stream.ReadExactlyAsync(body, cancel);
            told.Enqueue((head, Encoding.UTF8.GetString(body)));
            await stream.WriteAsync(TestPlace.Head(status, ["Content-Length: 0"]), cancel);
        });
        return world.InitializeAsync();
    }

    public Task DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task Webhook_IsToldOnce_SignedAndWithoutTheArguments()
    {
        var w = await ApprovalWorld.OfAsync(world.Server);
        var id = await w.AskAsync("""{"path":"/secret/plan"}""");
        await SendAsync(1);
        await SendAsync(1);
        var (head, body) = Assert.Single(told);
        var data = JsonNode.Parse(body)!;
        Assert.Equal(("approval.asked", id, $"{TestServer.Issuer}/approvals/{id}"), ((string?)data["type"], (string?)data["data"]!["id"], (string?)data["data"]!["url"]));
        Assert.Equal(["data", "timestamp", "type"], data.AsObject().Select(m => m.Key).Order(StringComparer.Ordinal));
        Assert.Equal(2, data["data"]!.AsObject().Count);
        var (sent, at) = (Header(head, "webhook-id"), Header(head, "webhook-timestamp"));
        Assert.Equal(id, sent);
        var expected = Convert.ToBase64String(HMACSHA256.HashData(Secret, Encoding.UTF8.GetBytes($"{sent}.{at}.{body}")));
        Assert.Equal("v1," + expected, Header(head, "webhook-signature"));
        Assert.DoesNotContain(world.Server.Logs.Lines, l => l.Contains(Convert.ToBase64String(Secret), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Webhook_ThatFails_IsToldAgainMoreSlowly_UntilItIsOfNoUse()
    {
        status = 500;
        var w = await ApprovalWorld.OfAsync(world.Server);
        var id = await w.AskAsync();
        await SendAsync(1);
        await SendAsync(1);
        foreach (var (seconds, times) in new[] { (4, 2), (8, 3) })
        {
            world.Server.Time.Advance(TimeSpan.FromSeconds(seconds));
            await SendAsync(times);
        }
        await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), id);
        world.Server.Time.Advance(TimeSpan.FromMinutes(1));
        await SendAsync(3);
        for (var i = 0; i < 250 && await world.Server.ScalarAsync("select count(*) from approval_notices") > 0; i++)
            await Task.Delay(20);
        Assert.Equal(0, await world.Server.ScalarAsync("select count(*) from approval_notices"));
    }

    [Fact]
    public async Task Webhook_AtAnAddressWithin_IsNotReached()
    {
        world.Internet.Names["chat.client.test"] = [System.Net.IPAddress.Parse("10.0.0.7")];
        var w = await ApprovalWorld.OfAsync(world.Server);
        await w.AskAsync();
        await SendAsync(0);
        Assert.Empty(world.Internet.Connected);
        Assert.Equal(1, await world.Server.ScalarAsync("select count(*) from approval_notices"));
    }

    /// <summary>As the second's tick does; after a move of the clock that tick may be at it already.</summary>
    private async Task SendAsync(int told)
    {
        await world.Server.Services.GetRequiredService<ApprovalNotices>().SendDueAsync(default);
        for (var i = 0; i < 500 && this.told.Count < told; i++)
            await Task.Delay(20);
        Assert.Equal(told, this.told.Count);
    }

    private static string Header(IReadOnlyList<string> head, string name) => head.Single(l => l.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))[(name.Length + 1)..].Trim();
}
