using McpAuthServer.Pages.Wording;

namespace McpAuthServer.Accounts;

/// <summary>What acts for a person, in words.</summary>
public sealed record AccountView(IReadOnlyList<AccountView.Question> Questions, IReadOnlyList<AccountView.Work> Works, IReadOnlyList<AccountView.Program> Programs)
{
    /// <summary>What an agent asked, and has no answer to.</summary>
    /// <param name="Continue">Sealed: what the page that asks is about.</param>
    public sealed record Question(string Continue, string Agent, Worded Purpose, string? Message, DateTimeOffset Asked, DateTimeOffset Until);

    /// <summary>An agent's task that runs.</summary>
    public sealed record Work(string Id, string Agent, Worded Purpose, Worded Servers, DateTimeOffset Started, DateTimeOffset Until, bool Suspended);

    /// <summary>A consent that stands.</summary>
    /// <param name="Via">An agent's program; null for a program that acts itself.</param>
    /// <param name="Allowed">A line for each tool server or word.</param>
    /// <param name="Remembered">Until when a request within it is not asked about again; null when the next one is.</param>
    public sealed record Program(string Id, string Name, string? Via, Worded? Purpose, string? Server, IReadOnlyList<Worded> Allowed, DateTimeOffset Since, DateTimeOffset? Remembered);
}
