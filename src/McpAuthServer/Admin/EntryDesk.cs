using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>Shows what is registered, and changes it by the one code that applies files.</summary>
internal sealed class EntryDesk(AdminCallers callers, RegistryApply apply, RegistryCache registry, IReadStore store, TimeProvider time)
{
    public async Task<IResult> ListAsync(EntryKind kind, AdminCall call)
    {
        var (page, _, invalid) = PageOf.Read(call.Context.Request);
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var entries = await store.All(kind.Page.With(page.After, page.Limit + 1L), kind.Read, call.Cancel);
        foreach (var entry in entries)
            await CompleteAsync(kind, entry, call.Cancel);
        return AdminAnswer.List(entries, page.Limit);
    }

    public async Task<IResult> ShowAsync(EntryKind kind, AdminCall call) =>
        await FindAsync(kind, call) is { } entry ? AdminAnswer.One(entry) : await callers.RefuseAsync(call.Caller, Problem.NotFound($"There is no such {kind.What}."));

    /// <summary>The entry as a file has it, all of it: what it leaves out has its default. 201 when it was not there.</summary>
    public async Task<IResult> PutAsync(EntryKind kind, AdminCall call)
    {
        var (json, invalid) = await StrictBody.JsonAsync(call.Context.Request, Limits.GuardBody);
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, Problem.Of(invalid));
        if (json.ValueKind != JsonValueKind.Object)
            return await callers.RefuseAsync(call.Caller, Problem.Invalid("The body must be a JSON object."));
        if (json.TryGetProperty("id", out var named) && !(named.ValueKind == JsonValueKind.String && named.ValueEquals(call.Id)))
            return await callers.RefuseAsync(call.Caller, Problem.Invalid("The entry's id is not the one in the path."));
        var known = await FindAsync(kind, call) is not null;
        var outcome = await ApplyAsync(Document(kind, json, call.Id), call);
        if (!outcome.Applied)
            return Refused(outcome, $"$.{kind.Section}[0]");
        return AdminAnswer.One((await FindAsync(kind, call))!, known ? StatusCodes.Status200OK : StatusCodes.Status201Created);
    }

    /// <summary>A whole file.</summary>
    public async Task<IResult> ApplyAsync(AdminCall call)
    {
        var (bytes, invalid) = await StrictBody.JsonBytesAsync(call.Context.Request, Limits.GuardBody);
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, Problem.Of(invalid));
        var outcome = await ApplyAsync(bytes, call);
        return outcome.Applied ? AdminAnswer.One(new() { ["changed"] = outcome.Changed }) : Refused(outcome, null);
    }

    private async Task<ApplyOutcome> ApplyAsync(ReadOnlyMemory<byte> document, AdminCall call)
    {
        var outcome = await apply.Apply(document, call.Caller.Client);
        if (outcome.Changed > 0 && registry.Latest is { } seen)
            registry.Invalidate(seen.Version);
        return outcome;
    }

    /// <summary>The applying unit has recorded it.</summary>
    /// <param name="root">What stands before the caller's own in every path.</param>
    private static Problem Refused(ApplyOutcome outcome, string? root) =>
        new(StatusCodes.Status422UnprocessableEntity, Problem.FaultsCode, $"Faults: {outcome.Faults.Count}.")
        {
            Faults = [.. outcome.Faults.Select(f => root is not null && f.Path?.StartsWith(root, StringComparison.Ordinal) == true ? f with { Path = "$" + f.Path[root.Length..] } : f)],
        };

    private async Task<JsonObject?> FindAsync(EntryKind kind, AdminCall call) =>
        await store.First(kind.One.With(call.Id), kind.Read, call.Cancel) is { } entry ? await CompleteAsync(kind, entry, call.Cancel) : null;

    private async Task<JsonObject> CompleteAsync(EntryKind kind, JsonObject entry, CancellationToken cancel)
    {
        if (kind.More is { } more)
            entry[more.Member] = new JsonArray([.. await store.All(more.Rows.With((string)entry["id"]!), more.Read, cancel)]);
        EntryKind.Tell(entry, time.GetUtcNow());
        return entry;
    }

    private static byte[] Document(EntryKind kind, JsonElement entry, string id)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartArray(kind.Section);
            json.WriteStartObject();
            json.WriteString("id", id);
            foreach (var member in entry.EnumerateObject().Where(m => m.Name != "id" && !EntryKind.Told.Contains(m.Name, StringComparer.Ordinal)))
                member.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}

/// <summary>How answers look: an object, or a page of them with the cursor to the next.</summary>
internal static class AdminAnswer
{
    public static IResult One(JsonObject body, int status = StatusCodes.Status200OK) => Results.Json(body, ProtocolJson.Default.JsonObject, statusCode: status);

    /// <param name="items">One more than the page holds, if there are more.</param>
    /// <param name="by">The member by which they are ordered.</param>
    public static IResult List(List<JsonObject> items, int limit, string by = "id")
    {
        var shown = items.Take(limit).ToList();
        var body = new JsonObject { ["items"] = new JsonArray([.. shown]) };
        if (items.Count > limit)
            body["next"] = PageOf.Cursor((string)shown[^1][by]!);
        return One(body);
    }
}
