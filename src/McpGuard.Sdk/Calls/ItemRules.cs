using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>The rules of resources, prompts, completion and subscriptions: by the same authority as tools. Pure.</summary>
internal static class ItemRules
{
    /// <summary>The member of <c>params</c> that says what to listen to.</summary>
    public const string Notifications = "notifications";

    public static Ruling Decide(Caller caller, McpMessage message)
    {
        if (!caller.Confirmed) return new(Denial.Unavailable("stale"));
        if (message.Params.ValueKind != JsonValueKind.Object) return new(Denial.NotInTask("nothing_named"));
        Denial? denial = message.Method == McpMethods.Listen ? Listen(caller.Token, message.Params) : Read(caller.Token, message);
        return new Ruling { Canonical = CanonicalJson.ToBytes(message.Params), Denial = denial };
    }

    private static Denial? Read(ValidatedToken token, McpMessage message)
    {
        (JsonElement from, string kind) = (message.Params, message.Method);
        if (kind == McpMethods.Complete)
        {
            // Completion needs authority over what it completes.
            if (!from.TryGetProperty("ref", out from)) return Denial.NotInTask("nothing_named");
            kind = Text(from, "type") switch { "ref/resource" => McpMethods.ResourcesRead, "ref/prompt" => McpMethods.PromptsGet, _ => "" };
        }
        if (kind == McpMethods.ResourcesRead && Text(from, "uri") is not null)
            return Authorities.Reads(token, from.GetProperty("uri")) ? null : Denial.Missing(token, Names.Scopes.ResourcesRead);
        if (kind == McpMethods.PromptsGet && Text(from, "name") is { } name)
            return Authorities.Prompts(token, name) ? null : Denial.Missing(token, Names.Scopes.PromptsRead);
        return Denial.NotInTask("nothing_named");
    }

    /// <summary>
    /// What a stream will tell: that a list changed, which says no more than listing again does; and that a resource changed, which is for
    /// those who may read it. A kind of news that is not known here is not subscribed to.
    /// </summary>
    private static Denial? Listen(ValidatedToken token, JsonElement from)
    {
        if (!from.TryGetProperty(Notifications, out JsonElement wanted) || wanted.ValueKind != JsonValueKind.Object) return Denial.NotInTask("nothing_named");
        foreach (JsonProperty kind in wanted.EnumerateObject())
        {
            switch (kind.Name)
            {
                case "toolsListChanged" or "promptsListChanged" or "resourcesListChanged" when kind.Value.ValueKind is JsonValueKind.True or JsonValueKind.False: break;
                case "resourceSubscriptions" when kind.Value.ValueKind == JsonValueKind.Array && kind.Value.EnumerateArray().All(u => u.ValueKind == JsonValueKind.String):
                    if (!kind.Value.EnumerateArray().All(uri => Authorities.Reads(token, uri))) return Denial.Missing(token, Names.Scopes.ResourcesRead);
                    break;
                default: return Denial.NotInTask("unknown_subscription");
            }
        }
        return null;
    }

    private static string? Text(JsonElement from, string member) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
