using System.Net;
using McpAuth.Protocol.Audit;
using McpAuthServer.Authorizations;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Harness;

/// <summary>How much there is of everything that a request may create, so that a refused one can be shown to have created nothing.</summary>
/// <param name="Revocations">Those of this moment of the clock: older ones are removed in the background.</param>
public sealed record Footprint(long Grants, long LiveGrants, long Tasks, long LiveTasks, long Instances, long LiveInstances, long Revocations, long Spent, long Guards)
{
    internal static async Task<Footprint> OfAsync(TestServer server) => new(
        await server.ScalarAsync("select count(*) from grants"), await server.ScalarAsync("select count(*) from grants where state = 'active'"),
        await server.ScalarAsync("select count(*) from tasks"), await server.ScalarAsync("select count(*) from tasks where state in ('active', 'suspended')"),
        await server.ScalarAsync("select count(*) from instances"), await server.ScalarAsync("select count(*) from instances where state = 'active'"),
        await server.ScalarAsync($"select count(*) from revocations where at >= {server.Time.GetUtcNow().ToUnixTimeMilliseconds()}"), await server.ScalarAsync("select cast(coalesce(sum(spent), 0) as bigint) from budgets"),
        await server.ScalarAsync("select count(*) from guards"));
}

internal static class Effects
{
    /// <summary>
    /// The place after everything that is committed, on either database; and after the sweep of the tasks and instances that a move of the clock has
    /// made due, so that their ends are not taken for something that a request did.
    /// </summary>
    public static async Task<long> NowAsync(this TestServer server)
    {
        async Task<long> DueAsync(int agoMs)
        {
            var due = server.Time.GetUtcNow().ToUnixTimeMilliseconds() - agoMs;
            return await server.ScalarAsync($"select count(*) from tasks where state in ('active', 'suspended') and expires_at <= {due}")
                + await server.ScalarAsync($"select count(*) from instances where state = 'active' and expires_at <= {due}");
        }
        // What became due within the last tick may have to wait for the next one, which only a move of the clock brings.
        for (var i = 0; (i < 300 && await DueAsync(1000) > 0) || (i < 10 && await DueAsync(0) > 0); i++)
            await Task.Delay(10);
        // The same of questions that nobody answered in time.
        await server.Services.GetRequiredService<BackchannelRequests>().ExpireDueAsync(default);
        await server.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<McpAuthServer.CallApprovals.ApprovalUpkeep>().Single().SweepAsync(default);
        await server.EventsAsync("1 = 0");
        return await server.MarkAsync();
    }

    /// <summary>
    /// A hostile request gets its refusal, changes nothing, and leaves exactly one event that says why.
    /// </summary>
    /// <param name="recorded">The event's reason.</param>
    public static async Task<AuditEvent> RefusedAsync(
        this TestServer server, Func<Task<HttpResponseMessage>> act, HttpStatusCode status, string error, string? reason, string type, string? recorded)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        await (await act()).RefusedAsync(status, error, reason);
        return await server.OnlyARefusalSinceAsync(mark, before, type, recorded);
    }

    /// <summary>Nothing changed since, and the one event says why.</summary>
    public static async Task<AuditEvent> OnlyARefusalSinceAsync(this TestServer server, long mark, Footprint before, string type, string? recorded)
    {
        var events = await server.SinceAsync(mark);
        Assert.True(events.Count == 1, $"expected one {type} {recorded}, got {string.Join(", ", events.Select(e => $"{e.Type} {e.Reason}"))}");
        Assert.Equal((type, "refused", recorded ?? events[0].Reason), (events[0].Type, events[0].Outcome, events[0].Reason));
        Assert.NotNull(events[0].Reason);
        Assert.Equal(before, await Footprint.OfAsync(server));
        return events[0];
    }
}
