using System.Text.Json;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.DecisionPoints;
using McpGuard.Sdk.Policy;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>The rules of resources, prompts, completion and subscriptions: by the same authority, the same policies and the same decision points as tools.</summary>
internal sealed class ItemRules(ToolCatalogue catalogue, CallRates rates, PolicyDecisions policies, AllDecisionPoints points)
{
    /// <summary>The member of <c>params</c> that says what to listen to.</summary>
    public const string Notifications = "notifications";

    /// <param name="id">The decision's.</param>
    public async ValueTask<Ruling> Decide(Caller caller, McpMessage message, string id, CancellationToken cancellationToken)
    {
        if (!await catalogue.EnsureCurrent(cancellationToken)) return new(Denial.Unavailable(catalogue.Problem));
        if (!caller.Confirmed) return new(Denial.Unavailable("stale"));
        if (message.Params.ValueKind != JsonValueKind.Object) return new(Denial.NotInTask("nothing_named"));
        var read = new List<(string What, string Member, string Value)>();
        Denial? denial = message.Method == McpMethods.Listen ? Listen(caller.Token, message.Params, read) : Read(caller.Token, message, read);
        var ruling = new Ruling { Canonical = CanonicalJson.ToBytes(message.Params), Denial = denial };
        if (denial is null && rates.Refuse(caller.Token, null) is { } exceeded) return ruling.But(Denial.TooOften(exceeded));
        foreach ((string what, string member, string value) in read)
        {
            if (ruling.Denial is not null) break;
            byte[] item = PolicyDecisions.Item(member, value);
            ruling = ruling.By(policies.Decide(caller, what, item, id));
            if (ruling.Denial is null && points.Any) ruling = ruling.By(await points.Decide(caller, new(id, what, item, null), cancellationToken));
        }
        return ruling;
    }

    /// <param name="read">Gets what policies are asked about.</param>
    private static Denial? Read(ValidatedToken token, McpMessage message, List<(string, string, string)> read)
    {
        (JsonElement from, string kind) = (message.Params, message.Method);
        if (kind == McpMethods.Complete)
        {
            // Completion needs authority over what it completes.
            if (!from.TryGetProperty("ref", out from)) return Denial.NotInTask("nothing_named");
            kind = Text(from, "type") switch { "ref/resource" => McpMethods.ResourcesRead, "ref/prompt" => McpMethods.PromptsGet, _ => "" };
        }
        if (kind == McpMethods.ResourcesRead && Text(from, "uri") is { } uri)
        {
            read.Add((ToolServerModel.ReadResource, "uri", uri));
            return Authorities.Reads(token, from.GetProperty("uri")) ? null : Denial.Missing(token, Names.Scopes.ResourcesRead);
        }
        if (kind == McpMethods.PromptsGet && Text(from, "name") is { } name)
        {
            read.Add((ToolServerModel.GetPrompt, "name", name));
            return Authorities.Prompts(token, name) ? null : Denial.Missing(token, Names.Scopes.PromptsRead);
        }
        return Denial.NotInTask("nothing_named");
    }

    /// <summary>
    /// What a stream will tell: that a list changed, which says no more than listing again does; and that a resource changed, which is for
    /// those who may read it. A kind of news that is not known here is not subscribed to.
    /// </summary>
    private static Denial? Listen(ValidatedToken token, JsonElement from, List<(string, string, string)> read)
    {
        if (!from.TryGetProperty(Notifications, out JsonElement wanted) || wanted.ValueKind != JsonValueKind.Object) return Denial.NotInTask("nothing_named");
        foreach (JsonProperty kind in wanted.EnumerateObject())
        {
            switch (kind.Name)
            {
                case "toolsListChanged" or "promptsListChanged" or "resourcesListChanged" when kind.Value.ValueKind is JsonValueKind.True or JsonValueKind.False: break;
                case "resourceSubscriptions" when kind.Value.ValueKind == JsonValueKind.Array && kind.Value.EnumerateArray().All(u => u.ValueKind == JsonValueKind.String):
                    if (!kind.Value.EnumerateArray().All(uri => Authorities.Reads(token, uri))) return Denial.Missing(token, Names.Scopes.ResourcesRead);
                    read.AddRange(kind.Value.EnumerateArray().Select(uri => (ToolServerModel.ReadResource, "uri", uri.GetString()!)));
                    break;
                default: return Denial.NotInTask("unknown_subscription");
            }
        }
        return null;
    }

    private static string? Text(JsonElement from, string member) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
