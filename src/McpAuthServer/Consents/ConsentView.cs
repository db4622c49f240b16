using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Authorizations;
using McpAuthServer.Pages.Wording;
using McpAuthServer.Registry;

namespace McpAuthServer.Consents;

/// <summary>
/// All that the consent page says about a request, in words, ready to be shown. Its digest is taken over the whole, so nothing can stand on
/// the page that the digest does not cover.
/// </summary>
/// <param name="Unknown">Where no administrator registered the program: that its name is its own, and where it is from.</param>
/// <param name="About">What the program learns of the person themselves.</param>
/// <param name="DeviceCode">What stands on the device that asks; null where none does.</param>
/// <param name="Waits">Where the agent asked by itself, and waits.</param>
/// <param name="Exact">What is asked for as the programs will read it: two requests that happen to be worded alike are not the same.</param>
public sealed record ConsentView(
    string Title, string ClientName, string ClientId, string? Unknown, ConsentView.AgentFacts? Agent, Worded? Purpose, DateTimeOffset? Until,
    IReadOnlyList<ConsentView.Server> Servers, IReadOnlyList<ConsentView.Item> About, ConsentView.Item? Offline, string Recipient, bool RecipientIsHere, string? DeviceCode, ConsentView.WaitingFacts? Waits, string Exact)
{
    public sealed record AgentFacts(string Id, string Name, Worded Purpose, string Owner);

    /// <param name="Message">The line that stands on the other side as well.</param>
    /// <param name="Until">When the agent stops waiting.</param>
    public sealed record WaitingFacts(string? Message, DateTimeOffset Asked, DateTimeOffset Until);

    public sealed record Server(string Name, string Host, IReadOnlyList<Group> Groups);

    /// <param name="Sensitivity">One of <see cref="ToolWording.Sensitivities"/>.</param>
    public sealed record Group(string Sensitivity, IReadOnlyList<Item> Items);

    /// <param name="Key">The checkbox's value.</param>
    /// <param name="Can">What it can do beyond reading; else null.</param>
    /// <param name="Before">Whether it was allowed before; null when nothing was, so that there is nothing to tell apart.</param>
    /// <param name="Fixed">Whether it cannot be left out by itself.</param>
    public sealed record Item(string Key, string Title, string? Can, IReadOnlyList<Worded> Lines, bool? Before, bool Fixed = false);

    /// <summary>Whether there is anything to untick.</summary>
    public bool HasChoices => Servers.Count > 0 || About.Any(item => !item.Fixed);

    internal string Digest => Base64Url.Sha256(JsonSerializer.Serialize(this, ConsentJson.Default.ConsentView));

    /// <param name="owner">The name of the agent's owner; null when there is no agent.</param>
    internal static ConsentView Of(AuthorizationRequest request, IReadOnlyList<ConsentItem> items, string? owner)
    {
        var (client, recipient) = (request.Client, request.Recipient);
        var marked = items.Any(item => item.Already);
        var delegation = request.Asked as Asked.Delegation;
        var title = request.Asked switch
        {
            Asked.Delegation to => $"{ShownText.Name(to.Agent.Name)} asks to work for you",
            Asked.ByScope scope => $"{ShownText.Name(client.Name)} asks for access to {ShownText.Name(scope.Server.Name)}",
            Asked.Identity => $"{ShownText.Name(client.Name)} asks who you are",
            var other => throw new InvalidOperationException($"Unknown request {other}."),
        };
        return new(
            title, ShownText.Name(client.Name), client.Id, Unverified(client),
            delegation is null ? null : new(delegation.Agent.Id, ShownText.Name(delegation.Agent.Name), Worded.Text(delegation.Agent.Purpose, 200), ShownText.Name(owner ?? delegation.Agent.Owner)),
            delegation is null ? null : Worded.Text(delegation.Purpose, 400), delegation?.Until,
            [.. items.Where(item => item.Word is null || ScopeWords.IsAtResource(item.Word)).GroupBy(item => item.Server!).Select(of => ServerOf(of.Key, of, marked))],
            [.. items.Where(item => item.Word is { } word && ScopeWords.IsIdentity(word)).OrderByDescending(item => item.Fixed).Select(item => ItemOf(item, marked))],
            items.Where(item => item.Word == Names.Scopes.OfflineAccess).Select(item => ItemOf(item, marked)).FirstOrDefault(),
            recipient.Shown, !recipient.Proven, (recipient as DeviceRecipient)?.UserCode,
            recipient is BackchannelRecipient waits ? new(waits.Message, waits.Asked, waits.Expires) : null,
            string.Join('\n', [recipient.Exact, client.KeysDigest, delegation?.Agent.Owner, delegation?.Agent.Purpose, delegation?.Purpose, delegation?.Authority.ToJson(), .. items.Select(item => item.Key)]));
    }

    /// <summary>A name that nobody here has checked, and what is certain beside it.</summary>
    private static string? Unverified(ClientRecord client) => client.Origin switch
    {
        ClientOrigin.Document => $"Nobody here has checked its name. It is published at {new Uri(client.Id).Authority}.",
        ClientOrigin.Dynamic => "Nobody here has checked its name: the program registered itself.",
        _ => null,
    };

    private static Server ServerOf(ToolServerRecord server, IEnumerable<ConsentItem> items, bool marked) => new(
        ShownText.Name(server.Name), new Uri(server.Resource).Authority,
        [.. items.GroupBy(item => ToolWording.SensitivityOf(item.Tool)).OrderBy(of => ToolWording.Sensitivities.ToList().IndexOf(of.Key))
            .Select(of => new Group(of.Key, [.. of.Select(item => ItemOf(item, marked))]))]);

    private static Item ItemOf(ConsentItem item, bool marked)
    {
        bool? before = marked ? item.Already : null;
        var can = ToolWording.Can(ToolWording.SensitivityOf(item.Tool));
        if (item.Word is { } word)
        {
            var (title, more) = ScopeWording.Of(word, item.Server);
            IReadOnlyList<Worded> lines = item.Tool is { } named ? ToolWording.Limits(null, named.ApprovalRequired) : more is null ? [] : [more];
            return new(item.Key, title, can, lines, before, item.Fixed);
        }
        if (item.Tool is { } tool)
            return new(item.Key, tool.Name, can, ToolWording.Limits(item.Limits, tool.ApprovalRequired), before);
        return item.Prompt is { } prompt
            ? new(item.Key, $"Read the prompt {ShownText.Quoted(prompt, ShownText.NameLength)}", null, [], before)
            : new(item.Key, "Read its resources", null, [Address(ConstraintWording.AnyOf(item.At!.Resources))], before);
    }

    private static Worded Address(Worded words) => new("Address " + words.Short, words.Full is null ? null : "Address " + words.Full);
}
