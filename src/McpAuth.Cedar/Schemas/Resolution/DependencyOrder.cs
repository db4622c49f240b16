namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>Orders nodes so that each comes after those it depends on. Without recursion: a chain may be as long as the schema.</summary>
internal static class DependencyOrder
{
    private const int MostShown = 8;

    /// <param name="onCycle">Called with the nodes of each cycle that is found, which then have no place in the order.</param>
    public static List<T> Of<T>(IEnumerable<T> nodes, Func<T, IEnumerable<T>> dependencies, Action<List<T>> onCycle, IEqualityComparer<T>? comparer = null)
        where T : notnull
    {
        List<T> order = [];
        Dictionary<T, bool> done = new(comparer); // false: on the way
        Stack<(T Node, IEnumerator<T> Left)> way = new();
        foreach (T start in nodes)
        {
            if (!done.TryAdd(start, false)) continue;
            way.Push((start, dependencies(start).GetEnumerator()));
            while (way.TryPeek(out (T Node, IEnumerator<T> Left) top))
            {
                if (!top.Left.MoveNext())
                {
                    way.Pop();
                    done[top.Node] = true;
                    order.Add(top.Node);
                }
                else if (!done.TryGetValue(top.Left.Current, out bool finished))
                {
                    done.Add(top.Left.Current, false);
                    way.Push((top.Left.Current, dependencies(top.Left.Current).GetEnumerator()));
                }
                else if (!finished)
                {
                    T again = top.Left.Current;
                    List<T> cycle = [.. way.Select(w => w.Node).TakeWhile(n => !(comparer ?? EqualityComparer<T>.Default).Equals(n, again)), again];
                    cycle.Reverse();
                    onCycle(cycle);
                    return order; // one is enough: its nodes may be part of many
                }
            }
        }
        return order;
    }

    /// <summary><c>A → B → A</c>, the middle left out when it is long.</summary>
    public static string Show<T>(List<T> cycle) =>
        string.Join(" → ", cycle.Count <= MostShown ? [.. cycle.Select(n => $"'{n}'"), $"'{cycle[0]}'"] : [.. cycle.Take(MostShown - 1).Select(n => $"'{n}'"), "…", $"'{cycle[0]}'"]);
}
