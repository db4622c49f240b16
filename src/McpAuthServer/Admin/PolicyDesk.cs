using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Text;
using McpAuth.Protocol;
using McpAuthServer.Http;
using McpAuthServer.Policies;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>
/// The policies of a tool server, version by version: written as a draft, checked against the tools there are, tried as a shadow, made to decide. What is wrong, or fails
/// its own tests, decides nothing.
/// </summary>
internal sealed class PolicyDesk(
    AdminCallers callers, PolicyVersions versions, PolicyRequests requests, RegistryCache registry, ICommitLog log, ServerOptions options, TimeProvider time)
{
    public const string Activate = "activate", Shadow = "shadow", Withdraw = "withdraw";

    public static readonly IReadOnlyList<string> Verbs = [Activate, Shadow, Withdraw];

    private const int LongestNote = 1000;

    /// <summary>The schema that policies are validated against, in Cedar.</summary>
    public async Task<IResult> SchemaAsync(AdminCall call)
    {
        if (await ServerAsync(call) is not { } server)
            return await callers.RefuseAsync(call.Caller, NoServer);
        var model = CompiledRelease.Model(CompiledRelease.Tools(server));
        return AdminAnswer.One(new()
        {
            ["schema"] = model.Schema!.ToCedar(),
            ["notes"] = new JsonArray([.. model.Notes.Select(n => (JsonNode)n.ToString())]),
            ["undefined_tools"] = new JsonArray([.. server.Tools.Values.Where(t => t is { Approved: true, Definition: null }).Select(t => (JsonNode)t.Name)]),
        });
    }

    /// <summary>Newest first.</summary>
    public async Task<IResult> ListAsync(AdminCall call)
    {
        var (page, _, invalid) = PageOf.Read(call.Context.Request);
        var before = long.MaxValue;
        if (invalid is null && page.After.Length > 0 && !long.TryParse(page.After, System.Globalization.NumberStyles.None, null, out before))
            invalid = Problem.Invalid("after is what an answer called next.");
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        if (await ServerAsync(call) is not { } server)
            return await callers.RefuseAsync(call.Caller, NoServer);
        var found = await versions.PageAsync(server.Id, before, page.Limit + 1L, call.Cancel);
        return AdminAnswer.List([.. found.Select(v => Told(v, full: false))], page.Limit);
    }

    /// <summary>One version, checked against the tools as they are now.</summary>
    public async Task<IResult> ShowAsync(AdminCall call) => await FindAsync(call) is not { } found
        ? await callers.RefuseAsync(call.Caller, NoVersion)
        : AdminAnswer.One(await CheckedAsync(found.Server, found.Version, call.Cancel));

    /// <summary>A draft, kept with whatever is wrong with it.</summary>
    public async Task<IResult> DraftAsync(AdminCall call)
    {
        var (json, unread) = await StrictBody.JsonAsync(call.Context.Request, Limits.GuardBody);
        if (unread is not null)
            return await callers.RefuseAsync(call.Caller, Problem.Of(unread));
        var (body, tests, wrong) = Read(json);
        if (wrong is not null)
            return await callers.RefuseAsync(call.Caller, Problem.Invalid(wrong));
        if (await ServerAsync(call) is not { } server)
            return await callers.RefuseAsync(call.Caller, NoServer);
        var version = await log.Commit(new DraftPolicy(server.Id, body!.Policies, body.Tests?.GetRawText() ?? "[]", body.Note, call.Caller.Client, time.GetUtcNow(), options.Node));
        var draft = (await versions.FindAsync(server.Id, version, call.Cancel))!;
        return AdminAnswer.One(await CheckedAsync(server, draft, call.Cancel), StatusCodes.Status201Created);
    }

    public async Task<IResult> MoveAsync(string verb, AdminCall call)
    {
        while (true)
        {
            var snapshot = await registry.Current(call.Cancel);
            if (await FindAsync(call) is not { } found)
                return await callers.RefuseAsync(call.Caller, NoVersion);
            var (server, version) = found;
            if (verb != Withdraw)
            {
                // Checked now, not when it was written: the tools may have changed since.
                var check = PolicyCheck.Of(server, version.Text, PolicyCheck.ReadTests(JsonElement.Parse(version.Tests)).Tests, time.GetUtcNow());
                if (!check.Sound)
                    return await callers.RefuseAsync(call.Caller, Unsound(check));
            }
            var to = verb switch { Activate => PolicyState.Active, Shadow => PolicyState.Shadow, _ => PolicyState.Retired };
            var moved = await log.Commit(new MovePolicy(server.Id, version.Version, to, snapshot.Version, call.Caller.Client, time.GetUtcNow(), options.Node));
            registry.Invalidate(snapshot.Version);
            switch (moved)
            {
                case PolicyMove.Stale: continue;
                case PolicyMove.Idle: return await callers.RefuseAsync(call.Caller, new Problem(StatusCodes.Status409Conflict, Problem.ConflictCode, $"The version is {version.State}."));
                default: return AdminAnswer.One(await CheckedAsync(server, (await versions.FindAsync(server.Id, version.Version, call.Cancel))!, call.Cancel));
            }
        }
    }

    /// <summary>The decisions that the version, as a shadow, would have made otherwise. Newest first.</summary>
    public async Task<IResult> DifferencesAsync(AdminCall call)
    {
        var (page, _, invalid) = PageOf.Read(call.Context.Request);
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        return await FindAsync(call) is { } found
            ? AdminAnswer.List(await requests.DifferencesAsync(found.Server.Id, found.Version.Version, page.After, page.Limit + 1L, call.Cancel), page.Limit)
            : await callers.RefuseAsync(call.Caller, NoVersion);
    }

    private static (DraftRequest? Body, IReadOnlyList<PolicyTest> Tests, string? Wrong) Read(JsonElement json)
    {
        DraftRequest body;
        try
        {
            body = json.Deserialize(AdminJson.Default.DraftRequest)!;
        }
        catch (JsonException e)
        {
            return (null, [], $"{e.Path?.TrimStart('$', '.')}: the body is {{\"policies\":\"…\",\"tests\":[…],\"note\":\"…\"}}.");
        }
        if (body.Note is { Length: > LongestNote })
            return (null, [], $"note has at most {LongestNote} characters.");
        var (tests, fault) = PolicyCheck.ReadTests(body.Tests);
        return (body, tests, fault);
    }

    private async Task<ToolServerRecord?> ServerAsync(AdminCall call) => (await registry.Current(call.Cancel)).ToolServers.GetValueOrDefault(call.Id);

    private async Task<(ToolServerRecord Server, PolicyVersion Version)?> FindAsync(AdminCall call) =>
        await ServerAsync(call) is { } server && long.TryParse(call.Part, System.Globalization.NumberStyles.None, null, out var number)
        && await versions.FindAsync(server.Id, number, call.Cancel) is { } version ? (server, version) : null;

    private async Task<JsonObject> CheckedAsync(ToolServerRecord server, PolicyVersion version, CancellationToken cancel)
    {
        var told = Told(version, full: true);
        var check = PolicyCheck.Of(server, version.Text, PolicyCheck.ReadTests(JsonElement.Parse(version.Tests)).Tests, time.GetUtcNow());
        told["sound"] = check.Sound;
        told["findings"] = new JsonArray([.. check.Findings.Select(Told)]);
        told["results"] = new JsonArray([.. check.Tests.Select(t => JsonSerializer.SerializeToNode(t, PolicyJson.Default.PolicyTestOutcome))]);
        var (compared, differing) = await requests.ComparedAsync(server.Id, version.Version, cancel);
        if (compared > 0)
            told["shadowed"] = new JsonObject { ["compared"] = compared, ["differing"] = differing };
        return told;
    }

    private static JsonObject Told(PolicyVersion version, bool full)
    {
        var told = new JsonObject
        {
            ["id"] = version.Version.ToString(System.Globalization.CultureInfo.InvariantCulture), ["version"] = version.Version, ["state"] = version.State,
            ["created_at"] = DateTimeOffset.FromUnixTimeMilliseconds(version.CreatedAt),
        };
        if (version.CreatedBy is not null)
            told["created_by"] = version.CreatedBy;
        if (version.ActivatedAt is { } activated)
            told["activated_at"] = DateTimeOffset.FromUnixTimeMilliseconds(activated);
        if (version.Note is not null)
            told["note"] = version.Note;
        if (full)
        {
            told["policies"] = version.Text;
            told["tests"] = JsonNode.Parse(version.Tests);
        }
        return told;
    }

    private static JsonNode Told(Diagnostic finding)
    {
        var told = new JsonObject { ["severity"] = finding.Severity == Severity.Error ? "error" : "warning", ["code"] = finding.Code, ["message"] = finding.Message, ["shown"] = finding.Render() };
        if (finding.Where is { } where)
        {
            told["line"] = where.Line;
            told["column"] = where.Column;
        }
        if (finding.Help is not null)
            told["help"] = finding.Help;
        return told;
    }

    private static Problem Unsound(PolicyCheck check) => new(StatusCodes.Status422UnprocessableEntity, Problem.FaultsCode, "The version may not decide anything: something in it is wrong, or a test of its own fails.")
    {
        Faults =
        [
            .. check.Findings.Where(f => f.Severity == Severity.Error).Select(f => new Fault(f.Code, f.ToString(), "$.policies")),
            .. check.Tests.Where(t => !t.Passed).Select(t => new Fault("test_failed", $"{t.Name}: {t.Decision}{(t.By.Count > 0 ? " by " + string.Join(", ", t.By) : "")}{(t.Fault is null ? "" : ": " + t.Fault)}", "$.tests")),
        ],
    };

    private static Problem NoServer => Problem.NotFound("There is no such tool server.");

    private static Problem NoVersion => Problem.NotFound("There is no such version of its policies.");
}

/// <summary>A new version.</summary>
/// <param name="Policies">Cedar.</param>
/// <param name="Tests">An array of <see cref="PolicyTest"/>; kept as it was sent.</param>
internal sealed record DraftRequest(
    [property: System.Text.Json.Serialization.JsonPropertyName("policies")] string Policies,
    [property: System.Text.Json.Serialization.JsonPropertyName("tests")] JsonElement? Tests = null,
    [property: System.Text.Json.Serialization.JsonPropertyName("note")] string? Note = null);
