using System.Text.Json;
using McpAuth.Protocol;

namespace McpAuthServer.AuthZen;

/// <summary>What a request leaves open, because that is what it asks for.</summary>
internal enum Asked
{
    Decision,
    Subjects,
    Resources,
    Actions,
}

/// <summary>
/// One question (AuthZEN 1.0 §6.1, §8.4–8.6), as far as it counts here. <c>properties</c> are not in it: what subjects, tools and tool servers are is in the
/// registry. Of <c>context.session</c>, only what can be compared with what the server knows.
/// </summary>
/// <param name="Input">The arguments; null: none.</param>
internal sealed record Question(string SubjectType, string SubjectId, string Action, string ResourceType, string ResourceId, JsonElement? Input, string? Task, string? Agent)
{
    private const string Malformed = "malformed";

    /// <param name="defaults">The whole request that the question is one of several of; what it does not say itself is said there (§7.1.1).</param>
    public static Result<Question> Read(JsonElement question, Asked asked, JsonElement? defaults = null)
    {
        JsonElement? Part(string name) =>
            question.TryGetProperty(name, out var own) ? own : defaults is { } common && common.TryGetProperty(name, out var theirs) ? theirs : null;

        if (!Entity(Part("subject"), "subject", "type", asked == Asked.Subjects ? null : "id").TryGet(out var subject, out var fault)
            || !Entity(Part("resource"), "resource", "type", asked == Asked.Resources ? null : "id").TryGet(out var resource, out fault))
            return fault;
        // §8.6: the action is left out where actions are searched; whatever stands there is not looked at.
        (string First, string Second) action = ("", "");
        if (asked != Asked.Actions && !Entity(Part("action"), "action", "name", null).TryGet(out action, out fault))
            return fault;

        JsonElement? input = null;
        var (task, agent) = ((string?)null, (string?)null);
        if (Part("context") is { } context)
        {
            if (context.ValueKind != JsonValueKind.Object)
                return new Fault(Malformed, "It must be an object.", "$.context");
            if (context.TryGetProperty("input", out var given))
            {
                if (given.ValueKind != JsonValueKind.Object)
                    return new Fault(Malformed, "The arguments are an object.", "$.context.input");
                input = given;
            }
            if (context.TryGetProperty("session", out var session))
            {
                if (session.ValueKind != JsonValueKind.Object)
                    return new Fault(Malformed, "It must be an object.", "$.context.session");
                if (!Named(session, "task").TryGet(out task, out fault) || !Named(session, "agent").TryGet(out agent, out fault))
                    return fault;
            }
        }
        return new Question(subject.First, subject.Second, action.First, resource.First, resource.Second, input, task is "" ? null : task, agent is "" ? null : agent);
    }

    /// <summary>§5.1–5.3: what must be there is a string; <c>properties</c>, where they are, are an object.</summary>
    private static Result<(string First, string Second)> Entity(JsonElement? entity, string name, string first, string? second)
    {
        if (entity is not { ValueKind: JsonValueKind.Object } there)
            return new Fault(Malformed, "It must be there, as an object.", "$." + name);
        if (Text(there, first) is not { } one)
            return new Fault(Malformed, "It must be a string that is not empty.", $"$.{name}.{first}");
        var two = second is null ? "" : Text(there, second);
        if (two is null)
            return new Fault(Malformed, "It must be a string that is not empty.", $"$.{name}.{second}");
        return there.TryGetProperty("properties", out var properties) && properties.ValueKind != JsonValueKind.Object
            ? new Fault(Malformed, "It must be an object.", $"$.{name}.properties") : (one, two);
    }

    /// <summary>An id, or an object with one; empty where there is none.</summary>
    private static Result<string> Named(JsonElement session, string name)
    {
        if (!session.TryGetProperty(name, out var value))
            return "";
        return (value.ValueKind == JsonValueKind.Object ? Text(value, "id") : value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } id ? id : null) is { } named
            ? named : new Fault(Malformed, "It must be an id, or an object with one.", "$.context.session." + name);
    }

    private static string? Text(JsonElement from, string member) =>
        from.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;
}
