using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Policies;

namespace McpAuthServer.Admin;

/// <summary>Makes a past decision again, from what it was made on and by what made it.</summary>
internal sealed class DecisionDesk(AdminCallers callers, PolicyRequests requests, PolicyReleases releases, ArgsKeys keys, AuditTrail audit)
{
    public async Task<IResult> ReplayAsync(AdminCall call)
    {
        if (await requests.DecisionAsync(call.Id, call.Cancel) is not { } decision)
            return await callers.RefuseAsync(call.Caller, Problem.NotFound("There is no such decision."));
        if (decision is not { PolicyHash: { } hash, Data: { } data } || data["policy"] is not { } recorded)
            return await callers.RefuseAsync(call.Caller, Gone("No policy was asked for this decision."));
        if (await requests.FindAsync(call.Id, call.Cancel) is not { } kept)
            return await callers.RefuseAsync(call.Caller, Gone("What it was made on is not kept, or no longer."));
        if ((string?)data["request_digest"] != "sha-256:" + Base64Url.Sha256(kept.Sealed))
            return await callers.RefuseAsync(call.Caller, Gone("What is kept is not what the record has the digest of."));
        if (await releases.FindAsync(hash, call.Cancel) is not { Policies: { } policies })
            return await callers.RefuseAsync(call.Caller, Gone("No release of policies has the hash that the decision names."));
        var opened = new SealedRequest(await keys.OfAsync(kept.ToolServer, call.Cancel)).Open(call.Id, kept.Sealed);
        if (opened is null || RecordedCall.Parse(opened) is not { } made || !CanBeMade(made))
            return await callers.RefuseAsync(call.Caller, Gone("What it was made on cannot be read: it was altered, or encrypted under another key."));

        var explanation = made.Decide(policies);
        var again = explanation.Response.Decision == Decision.Allow ? "allow" : "deny";
        var same = again == (string?)recorded && explanation.Response.Reasons.SequenceEqual(decision.PolicyIds ?? [], StringComparer.Ordinal);
        // Somebody has read arguments: that is on record.
        await audit.RefuseAsync(audit.Success(AuditTypes.PolicyReplayed) with { Client = call.Caller.Client, Cause = call.Id, Data = new() { ["same"] = same } }, []);
        return AdminAnswer.One(new()
        {
            ["id"] = call.Id, ["policy_hash"] = hash, ["same"] = same,
            ["recorded"] = new JsonObject { ["decision"] = recorded.DeepClone(), ["policies"] = Names(decision.PolicyIds ?? []) },
            ["replayed"] = new JsonObject { ["decision"] = again, ["policies"] = Names(explanation.Response.Reasons) },
            ["explanation"] = explanation.ToString(),
            ["call"] = JsonNode.Parse(opened),
        });
    }

    /// <summary>A guard seals what it likes: a time of no calendar, an address that is none.</summary>
    private static bool CanBeMade(RecordedCall call) =>
        call.Time is >= 0 and <= Limits.LatestTime && (call.Address is null || IPAddress.TryParse(call.Address, out _));

    private static JsonArray Names(IReadOnlyList<string> ids) => new([.. ids.Select(id => (JsonNode)id)]);

    private static Problem Gone(string why) => new(StatusCodes.Status409Conflict, Problem.ConflictCode, why);
}
