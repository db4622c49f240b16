using System.Text.Json;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>A request as JSON: <c>{"principal":…,"action":…,"resource":…,"context":{…}}</c>; the context may be absent.</summary>
internal static class RequestReader
{
    public static Parsed<Request> Read(ReadOnlySpan<byte> utf8, CedarSchema? schema) => JsonCursor.Read(utf8, (ref JsonCursor at) => Read(ref at, schema));

    private static Request? Read(ref JsonCursor at, CedarSchema? schema)
    {
        if (at.Token != JsonTokenType.StartObject)
        {
            at.Unexpected("a request as {\"principal\": …, \"action\": …, \"resource\": …, \"context\": {…}}");
            return null;
        }
        EntityUid? principal = null, action = null, resource = null;
        JsonCursor context = default;
        var seen = new List<string>();
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            if (seen.Contains(name))
            {
                at.Error("duplicate_member", "The member stands twice.");
                at.Skip();
                at.Trail.Leave();
                continue;
            }
            switch (name)
            {
                case "principal": principal = UidReader.Read(ref at); break;
                case "action": action = UidReader.Read(ref at); break;
                case "resource": resource = UidReader.Read(ref at); break;
                case "context":
                    context = at; // what it may hold is the action's to say, and that may stand behind it
                    at.Skip();
                    break;
                default:
                    at.Warning("unknown_member", "A request has the members principal, action, resource and context; this one is not read.");
                    at.Skip();
                    at.Trail.Leave();
                    continue;
            }
            seen.Add(name);
            at.Trail.Leave();
        }
        foreach (string name in new[] { "principal", "action", "resource" })
            if (!seen.Contains(name)) at.Error("missing_member", $"The member '{name}' is required.");
        ActionDeclaration? declared = null;
        if (action is not null) schema?.Actions.TryGetValue(action, out declared);
        CedarRecord? attributes = CedarRecord.Empty;
        if (seen.Contains("context"))
        {
            context.Trail.Enter("context");
            attributes = ContextJson.Read(ref context, declared?.Context);
            context.Trail.Leave();
        }
        if (principal is null || action is null || resource is null || attributes is null) return null;
        var request = new Request(principal, action, resource, attributes);
        if (schema is not null) new RequestConformance(schema, at.Trail, at.Findings).Check(request);
        return request;
    }
}
