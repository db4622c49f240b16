using System.Data.Common;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using McpAuth.Protocol;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>The tools of a tool server: what was approved beside what is reported. What is approved is named by its digest, so it is what somebody has looked at.</summary>
internal sealed class ToolDesk(AdminCallers callers, RegistryCache registry, IReadStore store, ICommitLog log, TimeProvider time)
{
    private const string Columns = "name, state, sensitivity, class, approval, on_change, digest, reported_digest, changed_at";

    private static readonly string[] States = [RegistryState.New, RegistryState.Approved, RegistryState.Drifted, RegistryState.Retired];

    private static readonly Sql
        // Also what drifted in one version of the tool server alone, while the approved one runs beside it.
        Page = new(
            $"""
            select {Columns} from tools where tool_server = @server and name > @after
              and (@state = '' or state = @state or (@state = 'drifted' and state = 'approved' and digest <> reported_digest)) order by name limit @limit
            """),
        One = new(
            $"""
            select {Columns}, case when approved_definition_digest = digest then approved_definition end, definition from tools where tool_server = @server and name = @name
            """);

    /// <summary>By name.</summary>
    public async Task<IResult> ListAsync(AdminCall call)
    {
        var (page, filters, invalid) = PageOf.Read(call.Context.Request, "state");
        if (invalid is null && filters[0].Length > 0 && !States.Contains(filters[0], StringComparer.Ordinal))
            invalid = Problem.Invalid($"state is one of {string.Join(", ", States)}.");
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        if (!(await registry.Current(call.Cancel)).ToolServers.ContainsKey(call.Id))
            return await callers.RefuseAsync(call.Caller, Problem.NotFound("There is no such tool server."));
        return AdminAnswer.List(await store.All(Page.With(call.Id, page.After, filters[0], page.Limit + 1L), View, call.Cancel), page.Limit, by: "name");
    }

    /// <summary>With both definitions, what is different between them, and what nobody would see in them.</summary>
    public async Task<IResult> ShowAsync(AdminCall call) =>
        await FindAsync(call) is { } tool ? AdminAnswer.One(tool) : await callers.RefuseAsync(call.Caller, NoTool);

    public async Task<IResult> ApproveAsync(AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, AdminJson.Default.ToolApproval, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : body.Wrong() is { } wrong ? Problem.Invalid(wrong) : null;
        return invalid is null
            ? await MovedAsync(call, await log.Commit(new ApproveTool(call.Id, call.Part, body!, call.Caller.Client, time.GetUtcNow())))
            : await callers.RefuseAsync(call.Caller, invalid);
    }

    public async Task<IResult> RetireAsync(AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, RequestJson.Default.TaskTransitionRequest, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : RevocationDesk.WrongReason(body.Reason) is { } wrong ? Problem.Invalid(wrong) : null;
        return invalid is null
            ? await MovedAsync(call, await log.Commit(new RetireTool(call.Id, call.Part, body!.Reason!, call.Caller.Client, time.GetUtcNow())))
            : await callers.RefuseAsync(call.Caller, invalid);
    }

    private async Task<IResult> MovedAsync(AdminCall call, Problem? refused)
    {
        if (refused is not null)
            return await callers.RefuseAsync(call.Caller, refused);
        if (registry.Latest is { } seen)
            registry.Invalidate(seen.Version);
        return AdminAnswer.One((await FindAsync(call))!);
    }

    private Task<JsonObject?> FindAsync(AdminCall call) => store.First(One.With(call.Id, call.Part), Whole, call.Cancel);

    private static JsonObject View(DbDataReader r)
    {
        var view = new JsonObject
        {
            ["name"] = r.GetString(0), ["state"] = r.GetString(1), ["sensitivity"] = r.GetString(2), ["approval"] = r.GetString(4), ["on_change"] = r.GetString(5),
        };
        foreach (var (member, column) in new[] { ("class", 3), ("digest", 6), ("reported_digest", 7) })
            if (!r.IsDBNull(column))
                view[member] = r.GetString(column);
        view["changed_at"] = DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(8));
        return view;
    }

    private static JsonObject Whole(DbDataReader r)
    {
        var view = View(r);
        var invisible = new InvisibleText();
        foreach (var (member, column) in new[] { ("approved", 9), ("reported", 10) })
            if (!r.IsDBNull(column))
            {
                view[member] = JsonNode.Parse(r.GetString(column));
                invisible.Look(StoredText.Json(r.GetString(column)), member);
            }
        if (!r.IsDBNull(9) && !r.IsDBNull(10))
        {
            var difference = DefinitionDifference.Of(StoredText.Json(r.GetString(9)), StoredText.Json(r.GetString(10)));
            view["difference"] = difference.Entries;
            if (!difference.Complete)
                view["difference_complete"] = false;
        }
        view["invisible"] = invisible.Entries;
        if (!invisible.Complete)
            view["invisible_complete"] = false;
        return view;
    }

    internal static Problem NoTool => Problem.NotFound("There is no such tool of such a tool server.");
}

/// <summary>What an administrator approves; of the rest, what is left out stays.</summary>
/// <param name="Digest">Of the definition that was looked at.</param>
internal sealed record ToolApproval(
    [property: JsonPropertyName("digest")] string Digest, [property: JsonPropertyName("sensitivity")] string? Sensitivity = null,
    [property: JsonPropertyName("class")] string? Class = null, [property: JsonPropertyName("approval")] string? Approval = null,
    [property: JsonPropertyName("on_change")] string? OnChange = null)
{
    /// <summary>What is wrong with it by itself; null = nothing.</summary>
    public string? Wrong() => !ApplyGrammar.IsDigest(Digest) ? "digest is sha-256: and the base64url SHA-256 of the definition."
        : Class is not null && !ApplyGrammar.IsClass(Class) ? "class is 1 to 64 of A-Z a-z 0-9 _ . -."
        : None("sensitivity", Sensitivity, ApplyGrammar.Sensitivities) ?? None("approval", Approval, ApplyGrammar.Approvals) ?? None("on_change", OnChange, ApplyGrammar.OnChanges);

    private static string? None(string member, string? value, string[] of) => value is null || of.Contains(value, StringComparer.Ordinal) ? null : $"{member} is one of {string.Join(", ", of)}.";
}

/// <summary>Approves a tool as it is reported at this moment, if that is what was looked at. The result is why not; null = it is approved.</summary>
internal sealed class ApproveTool(string server, string tool, ToolApproval approval, string by, DateTimeOffset now) : Unit<Problem?>
{
    /// <summary>A tool's state decides what may be issued for it.</summary>
    public override StateLock Lock => StateLock.Exclusive;

    public override Problem? Apply(WriteTx tx)
    {
        if (ApplyTools.Read(tx, server, tool) is not { } stored)
            return ToolDesk.NoTool;
        // A guard may have reported another definition since: nobody has looked at that one.
        if (stored.Reported != approval.Digest)
            return new(StatusCodes.Status409Conflict, Problem.ConflictCode,
                $"{approval.Digest} is not what is reported now: {stored.Reported ?? "nothing is"}. Look at the tool again.");
        var next = new AppliedTool(
            tool, approval.Sensitivity ?? stored.Sensitivity, approval.Class ?? stored.Class, approval.Approval ?? stored.Approval, RegistryState.Approved, approval.Digest,
            approval.OnChange ?? stored.OnChange);
        if (ApplyTools.Wrong(next) is { } wrong)
            return new(StatusCodes.Status422UnprocessableEntity, Problem.FaultsCode, "Faults: 1.") { Faults = [new("conflict", wrong, "$.on_change")] };
        ToolChange.Write(tx, server, next, by, now, reason: null);
        return null;
    }
}

/// <summary>Retires a tool: it stays so, whatever guards report, until it is approved again. The result is why not; null = it is retired.</summary>
internal sealed class RetireTool(string server, string tool, string reason, string by, DateTimeOffset now) : Unit<Problem?>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override Problem? Apply(WriteTx tx)
    {
        if (ApplyTools.Read(tx, server, tool) is not { } stored)
            return ToolDesk.NoTool;
        ToolChange.Write(tx, server, new(tool, stored.Sensitivity, stored.Class, stored.Approval, RegistryState.Retired, stored.Digest, stored.OnChange), by, now, reason);
        return null;
    }
}

internal static class ToolChange
{
    /// <summary>One tool as a file of it would write it; one that is as it should be already changes nothing.</summary>
    public static void Write(WriteTx tx, string server, AppliedTool tool, string by, DateTimeOffset now, string? reason)
    {
        var changes = new ApplyChanges(tx, now, by);
        ApplyTools.Write(changes, server, [tool], reason);
        if (changes.Count == 0)
            return;
        RegistryVersion.Raise(tx);
        foreach (var e in changes.Events)
            tx.Append(e);
    }
}
