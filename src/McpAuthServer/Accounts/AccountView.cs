using McpAuthServer.Pages.Wording;

namespace McpAuthServer.Accounts;

/// <summary>What acts for a person, in words.</summary>
public sealed record AccountView(IReadOnlyList<AccountView.Question> Questions, IReadOnlyList<AccountView.Work> Works, IReadOnlyList<AccountView.Program> Programs,
    IReadOnlyList<AccountView.Program> Stopped)
{
    /// <summary>Calls that wait for a yes or no of this person.</summary>
    public IReadOnlyList<Call> Calls { get; init; } = [];

    /// <summary>Whether more calls wait, of whomever, than could be looked through.</summary>
    public bool MoreCalls { get; init; }

    /// <summary>One call that waits.</summary>
    /// <param name="Path">From the issuer's path on, where it is answered.</param>
    public sealed record Call(string Path, string Who, string Tool, string Server, DateTimeOffset Asked, DateTimeOffset Until);

    /// <summary>What an agent asked, and has no answer to.</summary>
    /// <param name="Continue">Sealed: what the page that asks is about.</param>
    public sealed record Question(string Continue, string Agent, Worded Purpose, string? Message, DateTimeOffset Asked, DateTimeOffset Until);

    /// <summary>An agent's task that runs.</summary>
    public sealed record Work(string Id, string Agent, Worded Purpose, Worded Servers, DateTimeOffset Started, DateTimeOffset Until, bool Suspended);

    /// <summary>A consent that stands.</summary>
    /// <param name="Via">An agent's program; null for a program that acts itself.</param>
    /// <param name="Allowed">A line for each tool server or word.</param>
    /// <param name="AllowedBy">The organization that allowed it in the person's place; null where they did.</param>
    /// <param name="Remembered">Until when a request within it is not asked about again; null when the next one is.</param>
    public sealed record Program(string Id, string Name, string? Via, Worded? Purpose, string? Server, IReadOnlyList<Worded> Allowed, DateTimeOffset Since, DateTimeOffset? Remembered, string? AllowedBy);
}
