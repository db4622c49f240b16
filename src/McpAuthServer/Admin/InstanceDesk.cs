using System.Data.Common;
using System.Text.Json.Nodes;
using McpAuthServer.Delegation.Levels;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>Shows running copies of agents, and ends them.</summary>
internal sealed class InstanceDesk(AdminCallers callers, IReadStore store, ICommitLog log, ServerOptions options, TimeProvider time)
{
    private const string Columns = "id, agent_id, client_id, state, evidence, workload, assurance, attested_at, expires_at, ended_at";

    private static readonly Sql One = new($"select {Columns} from instances where id = @id");

    /// <summary>Newest first, for every state that may be asked for.</summary>
    private static readonly Dictionary<string, Sql> Pages = new(StringComparer.Ordinal)
    {
        [""] = Page("@now > 0"), ["active"] = Page("state = 'active' and expires_at > @now"), ["expired"] = Page("(state = 'expired' or (state = 'active' and expires_at <= @now))"),
        ["ended"] = Page("state = 'ended' and @now > 0"),
    };

    public async Task<IResult> ListAsync(AdminCall call)
    {
        var (page, filters, invalid) = PageOf.Read(call.Context.Request, "agent", "state");
        if (invalid is null && !Pages.ContainsKey(filters[1]))
            invalid = Problem.Invalid("state is one of active, expired, ended.");
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        return AdminAnswer.List(await store.All(Pages[filters[1]].With(now, filters[0], page.After, page.Limit + 1L), r => View(r, now), call.Cancel), page.Limit);
    }

    /// <summary>Ends it with all that was issued to it; its key is used up. Why stands in the query: the method has no body (RFC 9110 §9.3.5).</summary>
    public async Task<IResult> EndAsync(AdminCall call)
    {
        var (_, filters, invalid) = PageOf.Read(call.Context.Request, "reason");
        if (invalid is null && RevocationDesk.WrongReason(filters[0]) is { } wrong)
            invalid = Problem.Invalid(wrong);
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var now = time.GetUtcNow();
        var revoked = await log.Commit(new RevokeAtLevel(RevocationLevel.Instance, call.Id, filters[0], call.Caller.Initiator, now, options.Node));
        return revoked.Known
            ? AdminAnswer.One((await store.First(One.With(call.Id), r => View(r, now.ToUnixTimeMilliseconds()), call.Cancel))!)
            : Problem.NotFound("There is no such instance.");
    }

    private static Sql Page(string only) => new(
        $"""
        select {Columns} from instances where {only} and (@agent = '' or agent_id = @agent) and (@after = '' or id < @after) order by id desc limit @limit
        """);

    private static JsonObject View(DbDataReader r, long now)
    {
        var state = r.GetString(3);
        var view = new JsonObject
        {
            ["id"] = r.GetString(0), ["agent"] = r.GetString(1), ["state"] = state == "active" && r.GetInt64(8) <= now ? "expired" : state, ["evidence"] = r.GetString(4),
            ["assurance"] = r.GetString(6), ["attested_at"] = Time(7), ["expires_at"] = Time(8),
        };
        if (!r.IsDBNull(2))
            view["client"] = r.GetString(2);
        if (!r.IsDBNull(5))
            view["workload"] = r.GetString(5);
        if (!r.IsDBNull(9))
            view["ended_at"] = Time(9);
        return view;

        DateTimeOffset Time(int column) => DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(column));
    }
}
